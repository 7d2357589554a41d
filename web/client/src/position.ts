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

/** The parts of a position; none where the text isn't one. */
export function parsePosition(text: unknown): Position | undefined {
  const found = typeof text === 'string' ? /^([a-z0-9]{1,16})-(0|[1-9]\d{0,12})$/.exec(text) : null;
  return found?.[1] && found[2] ? { epoch: found[1], offset: Number(found[2]) } : undefined;
}
