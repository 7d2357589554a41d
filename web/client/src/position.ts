/**
 * Positions: `EPOCH-OFFSET`, which names one change of one topic for ever (docs/protocol.md, section 3).
 * Pure: knows no connection and no storage.
 */

/** A position in its two parts. */
export interface Position {
  readonly epoch: string;
  /** Number of the change; 0 is before the first one. */
  readonly offset: number;
}

/** From where to follow: a position, `start`, or nothing for the present. */
export type After = string | undefined;

/** The parts of a position; none where the text isn't one. */
export function parsePosition(text: unknown): Position | undefined {
  const found = /^([a-z0-9]{1,16})-(0|[1-9]\d{0,12})$/.exec(text as string);
  return found ? { epoch: found[1]!, offset: +found[2]! } : undefined;
}

/** The one of two starting points that misses nothing of the other; the first where they can't be compared. */
export function earlier(one: After, other: After): After {
  if (!one || other === 'start') return other || one;
  const [a, b] = [parsePosition(one), parsePosition(other)];
  return a && b && a.epoch === b.epoch && b.offset < a.offset ? other : one;
}
