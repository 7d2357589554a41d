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
  | { op: 'change'; epoch?: string; change: Change }
  | { op: 'error'; code: string; message: string; topic?: string }
  | { op: 'pong' };

/** A JSON object; none where the text isn't one. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** A message of the WebSocket; none for what it doesn't know. */
export function parseMessage(text: string): Message | undefined {
  const value = parseObject(text);
  if (!value) return undefined;
  const { op, ...change } = value;
  if (op === 'change') return isChange(change) ? { op, change } : undefined;
  const known = op === 'error' || op === 'pong' || typeof value['topic'] === 'string';
  return known && /^(subscribed|reset|presence|error|pong)$/.test(String(op)) ? (value as Message) : undefined;
}

/** Whether an object is a change. */
export function isChange(value: object): value is Change {
  const { topic, offset, kind } = value as Partial<Change>;
  return typeof topic === 'string' && Number.isSafeInteger(offset) && typeof kind === 'string';
}
