/**
 * Where a reader stands in one topic: decides for each change whether it is the next, known already, or behind a gap.
 * Pure: what follows from the verdict is the caller's.
 */
import { parsePosition, type After } from './position.js';

/** Where a reader stands. */
export interface Track {
  /** Position of the last change that was taken, or where it asked to begin. */
  at: After;
  /** Offset up to which changes were there when following began: below it the reader is catching up. */
  head: number;
}

/** `next`: take it. `known`: had it. `gap`: something is missing before it, so resume from `at`. */
export type Verdict = 'next' | 'known' | 'gap';

/** Judges a change, and moves on where it is the next one. */
export function take(track: Track, epoch: string, offset: number): Verdict {
  const at = parsePosition(track.at);
  // What is no number is no next one.
  if (at?.epoch !== epoch || !(offset <= at.offset + 1)) return 'gap';
  if (offset <= at.offset) return 'known';
  track.at = `${epoch}-${offset}`;
  return 'next';
}

/**
 * Takes in from where the connection goes on. `reset`: it is another numbering, and the reader starts over from there.
 * `gap`: it goes on behind where the reader stands. `next`: all is well.
 */
export function begin(track: Track, position: string, head: number): 'next' | 'gap' | 'reset' {
  const from = parsePosition(position);
  const at = parsePosition(track.at);
  if (!from) return 'gap';
  if (at ? at.epoch === from.epoch && from.offset > at.offset : track.at && from.offset) return 'gap';
  track.head = head;
  if (at && at.epoch === from.epoch) return 'next';
  // Who asked for the present has no use for what another tab asked to be repeated.
  track.at = at || track.at ? position : `${from.epoch}-${Math.max(head, from.offset)}`;
  return at ? 'reset' : 'next';
}

/** Whether nothing that was there is missing. */
export function isCaughtUp(track: Track): boolean {
  const at = parsePosition(track.at);
  return !!at && at.offset >= track.head;
}

/** Takes in that the broker knows no such position. Whether the reader starts over; `begin` follows in any case. */
export function rewind(track: Track, position: string): boolean {
  const [at, to] = [parsePosition(track.at), parsePosition(position)];
  if (!at || !to || at.epoch !== to.epoch || at.offset <= to.offset) return false;
  track.at = position;
  return true;
}
