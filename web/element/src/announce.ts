/**
 * What a screen reader is told: one polite region, at most every ten seconds. New entries are counted, and their text is
 * never read out; notes are told once each.
 */
import { newUpdates } from './words.js';

/** Least time between two announcements, in ms. */
const EVERY = 10_000;
/** How long to gather before one, in ms. */
const GATHER = 500;

export class Announcer {
  #untold = 0;
  #notes: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #toldAt = -Infinity;

  constructor(private readonly region: HTMLElement) {}

  /** Counts a new entry. */
  count(): void {
    this.#untold += 1;
    this.#soon();
  }

  /** Says a note with the next announcement. */
  tell(note: string): void {
    if (!this.#notes.includes(note)) this.#notes.push(note);
    this.#soon();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#toldAt = performance.now();
      const parts = this.#untold ? [newUpdates(this.#untold), ...this.#notes] : this.#notes;
      this.region.textContent = parts.join('. ');
      this.#untold = 0;
      this.#notes = [];
    }, Math.max(GATHER, this.#toldAt + EVERY - performance.now()));
  }
}
