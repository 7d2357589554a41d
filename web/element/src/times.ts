/**
 * Times as a reader has them: absolute in the reader's own zone, named, with "5 min ago" beside the young ones. The server
 * writes them in UTC; this makes them local, and keeps what is relative true while the page is open.
 */
import { sliced } from './dom.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Older than this, a time is not told relatively. */
const RELATIVE_MAX = 24 * HOUR;
/** How often relative times are looked after. */
const EVERY = 20_000;

const language = ((): string | undefined => {
  const tag = document.documentElement.lang;
  try {
    return tag ? Intl.getCanonicalLocales(tag)[0] : undefined;
  } catch {
    return undefined;
  }
})();

const format = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat => new Intl.DateTimeFormat(language, options);
const CLOCK: Intl.DateTimeFormatOptions = { hour: 'numeric', minute: '2-digit' };
const today = format({ ...CLOCK, timeZoneName: 'short' });
const thisYear = format({ ...CLOCK, day: 'numeric', month: 'short', timeZoneName: 'short' });
const anyDay = format({ ...CLOCK, day: 'numeric', month: 'short', year: 'numeric', timeZoneName: 'short' });
const whole = format({ dateStyle: 'full', timeStyle: 'long' });
const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' });

/** The clock time of a moment, as in other places but without its zone. */
export const clockOf = (at: number): string =>
  today.formatToParts(at).filter(({ type }) => type !== 'timeZoneName').map(({ value }) => value).join('').trim();

function absolute(at: Date): string {
  const now = new Date();
  if (at.toDateString() === now.toDateString()) return today.format(at);
  return (at.getFullYear() === now.getFullYear() ? thisYear : anyDay).format(at);
}

/** How long ago; none for what is old, or ahead. */
export function ago(at: number, now = Date.now()): string {
  const age = now - at;
  if (age < -MINUTE || age >= RELATIVE_MAX) return '';
  if (age < MINUTE) return relative.format(0, 'second');
  if (age < HOUR) return relative.format(-Math.floor(age / MINUTE), 'minute');
  return relative.format(-Math.floor(age / HOUR), 'hour');
}

/** Makes a `<time>` local. One in a `.stamp` gets what is relative beside it. */
export function localise(time: HTMLTimeElement): void {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.getTime())) return;
  time.textContent = absolute(at);
  time.title = whole.format(at);
  const stamp = time.closest('.stamp');
  if (!stamp) return;
  let beside = stamp.querySelector<HTMLElement>('.ago');
  if (!beside) {
    beside = document.createElement('span');
    beside.className = 'ago';
    stamp.append(beside);
  }
  beside.textContent = ago(at.getTime());
}

/** Makes all times below `root` local. */
export function localiseAll(root: ParentNode): void {
  for (const time of root.querySelectorAll('time')) localise(time);
}

/** Keeps relative times below `root` true; the function that comes back stops it. */
export function keepRelative(root: ParentNode): () => void {
  let isBusy = false;
  const refresh = async (): Promise<void> => {
    if (isBusy || document.hidden) return;
    isBusy = true;
    const now = Date.now();
    await sliced(root.querySelectorAll<HTMLElement>('.ago:not(:empty)'), (beside) => {
      const at = Date.parse(beside.parentElement?.querySelector('time')?.dateTime ?? '');
      const text = ago(at, now);
      if (beside.textContent !== text) beside.textContent = text;
    });
    isBusy = false;
  };
  const timer = setInterval(() => void refresh(), EVERY);
  const seen = (): void => void refresh();
  document.addEventListener('visibilitychange', seen);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', seen);
  };
}
