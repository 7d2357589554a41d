/**
 * How long to wait before the next attempt: exponential with full jitter
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), above what the broker advised.
 * Pure but for chance.
 */

/** First step and longest wait, in ms. */
export const BACKOFF_BASE = 1000;
export const BACKOFF_MAX = 30_000;
/** What a broker may ask for at most, in ms. */
const ADVICE_MAX = 120_000;

/** A wait in ms: `attempt` counts from 0. `base` is what the broker named as first step. */
export function backoff(attempt: number, base = BACKOFF_BASE, random: () => number = Math.random): number {
  return random() * Math.min(BACKOFF_MAX, base * 2 ** attempt);
}

/** An advised wait in ms, from text with a number of `unit` ms; none where it isn't one. */
export function advice(text: string | null | undefined, unit = 1): number | undefined {
  return /^\d{1,9}$/.test(text as string) ? Math.min(ADVICE_MAX, +text! * unit) : undefined;
}
