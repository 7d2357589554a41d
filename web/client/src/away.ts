/** Counts what came while there was no connection. Pure. */
import type { Away, Change } from './tenbells.js';

/** A running count. */
export interface AwayCount {
  sum: Omit<Away, 'topic' | 'since'>;
  add(change: Change): void;
}

export function createAwayCount(): AwayCount {
  const sum = { changes: 0, entries: 0, key: 0, corrections: 0, retractions: 0 };
  const corrected = new Set<string>();
  return {
    sum,
    add({ kind, entry }) {
      const isNew = +(kind === 'entry.published');
      sum.changes++;
      sum.entries += isNew;
      sum.key += isNew && +entry!.key_event;
      sum.retractions += +(kind === 'entry.retracted');
      if (entry?.correction) sum.corrections = corrected.add(entry.id).size;
    },
  };
}
