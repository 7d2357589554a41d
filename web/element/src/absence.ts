/**
 * Counts what comes while nobody looks at the page, and tells it to whoever comes back after a while. The client library
 * tells the same of a lost connection; this is for a tab in the background that kept its own.
 */
import type { Away, Change } from 'tenbells';

/** Shorter absences are not worth a word, in ms. */
const AWAY_AFTER = 60_000;

type Count = Pick<Away, 'entries' | 'key' | 'corrections' | 'retractions'>;

export class Absence {
  #since: number | undefined;
  #count: Count = { entries: 0, key: 0, corrections: 0, retractions: 0 };
  readonly #corrected = new Set<string>();

  constructor(private readonly tell: (count: Count) => void) {}

  count({ kind, entry }: Change): void {
    if (this.#since === undefined) return;
    if (kind === 'entry.published') {
      this.#count.entries += 1;
      if (entry?.key_event) this.#count.key += 1;
    } else if (kind === 'entry.retracted') this.#count.retractions += 1;
    if (entry?.correction) this.#count.corrections = this.#corrected.add(entry.id).size;
  }

  /** The page is hidden, or seen again. */
  seen(isHidden: boolean): void {
    if (isHidden) {
      this.#since ??= Date.now();
      return;
    }
    const since = this.#since;
    const count = this.#count;
    this.#since = undefined;
    this.#count = { entries: 0, key: 0, corrections: 0, retractions: 0 };
    this.#corrected.clear();
    if (since !== undefined && Date.now() - since >= AWAY_AFTER) this.tell(count);
  }
}
