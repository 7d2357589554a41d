/**
 * What comes from the broker, in one form for all transports, and how the text of a WebSocket becomes it.
 * Pure: knows no connection. What it doesn't know it leaves out (docs/protocol.md, section 2).
 */
import type { Change, Transport, Trouble } from './tenbells.js';

/** Whether there is a connection. */
export type Link = 'connecting' | 'open' | 'offline' | 'closed';

/** A message, as it goes from the connection to every tab. */
export type Wire =
  | { op: 'subscribed'; topic: string; position: string; head: number }
  | { op: 'change'; epoch: string; change: Change }
  | { op: 'reset'; topic: string; position: string; reason: string }
  | { op: 'presence'; topic: string; readers: number }
  | { op: 'error'; trouble: Trouble }
  | { op: 'link'; link: Link; transport: Transport | undefined };

/** A message of the broker: a change has no epoch on the wire. */
export type Message =
  | Exclude<Wire, { op: 'change' | 'error' | 'link' }>
  | { op: 'change'; epoch?: string | undefined; change: Change }
  | { op: 'error'; code: string; message: string; topic?: string | undefined }
  | { op: 'pong' };

/** What a JSON text says; none where it isn't one. */
export function parseObject(text: string): Record<string, unknown> | null | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return undefined;
  }
}

/** A message of the WebSocket; none for what it can't read. Whether it is of a kind that is known is seen by its `op`. */
export function parseMessage(text: string): Message | undefined {
  const value = parseObject(text);
  const { op, ...change } = value ?? {};
  return (op === 'change' ? { op, change } : value) as Message | undefined;
}
