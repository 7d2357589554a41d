/** Counts what came while there was no connection. Pure. */
import type { Away, Change } from './tenbells.js';

/** A running count. */
export interface AwayCount {
  sum: Omit<Away, 'topic' | 'since'>;
  add(change: Change): void;
}

export function createAwayCount(): AwayCount {
  const sum = { changes: 0, entries: 0, key: 0, corrections: 0, retractions: 0 };
  /** The notes of corrections by entry: one that stays over another revision counts once. */
  const notes = new Map<string, string>();
  return {
    sum,
    add({ kind, entry }) {
      sum.changes++;
      if (kind === 'entry.retracted') sum.retractions++;
      if (!entry) return;
      const note = entry.correction?.note;
      if (note && notes.get(entry.id) !== note) sum.corrections++;
      if (note) notes.set(entry.id, note);
      if (kind !== 'entry.published') return;
      sum.entries++;
      if (entry.key_event) sum.key++;
    },
  };
}
