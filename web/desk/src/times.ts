/**
 * Times as an editor reads them: in the zone of the device, which is named wherever a time is set. The broker's times
 * are UTC. Pure but for the zone and the language of the browser.
 */
const CLOCK: Intl.DateTimeFormatOptions = { hour: 'numeric', minute: '2-digit' };
const MINUTE = 60_000;

/** `20:31`, with the day where it isn't today. */
export function clock(when: string | number, now: number = Date.now()): string {
  const date = new Date(when);
  const isToday = date.toDateString() === new Date(now).toDateString();
  return date.toLocaleString(undefined, isToday ? CLOCK : { ...CLOCK, day: 'numeric', month: 'short' });
}

/** `20:31:07`: for what is being done just now. */
export function clockWithSeconds(when: number): string {
  return new Date(when).toLocaleTimeString(undefined, { ...CLOCK, second: '2-digit' });
}

/** `Europe/Berlin (GMT+1)`, as it is at that time. */
export function zoneAt(when: number): string {
  const format = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'shortOffset' });
  const offset = format.formatToParts(when).find(({ type }) => type === 'timeZoneName')?.value ?? 'UTC';
  const zone = format.resolvedOptions().timeZone;
  return zone === offset || zone === 'UTC' ? 'UTC' : `${zone} (${offset})`;
}

/** `19:31 UTC`, with the day where it is another one than here. */
export function inUtc(when: number): string {
  const date = new Date(when);
  const isSameDay = date.getUTCDate() === date.getDate();
  const options: Intl.DateTimeFormatOptions = isSameDay ? CLOCK : { ...CLOCK, day: 'numeric', month: 'short' };
  return `${date.toLocaleString('en-GB', { ...options, hour: '2-digit', timeZone: 'UTC' })} UTC`;
}

/** `in 2 h 10 min`, or `now`. */
export function ahead(when: number, now: number = Date.now()): string {
  const minutes = Math.ceil((when - now) / MINUTE);
  if (minutes <= 0) return 'now';
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)];
  const parts = [days && `${days} d`, hours && `${hours} h`, minutes % 60 && `${minutes % 60} min`].filter(Boolean);
  return `in ${parts.slice(0, 2).join(' ')}`;
}

/** `just now`, `4 min ago`, `2 h ago`, or the day. */
export function ago(when: string | number, now: number = Date.now()): string {
  const minutes = Math.floor((now - new Date(when).getTime()) / MINUTE);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return new Date(when).toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
}

/** What `<input type="datetime-local">` shows for a moment. */
export function toLocalInput(when: number): string {
  const date = new Date(when);
  const two = (number: number): string => String(number).padStart(2, '0');
  return `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}` +
    `T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** The moment that such an input means; none where it is empty or half-written. */
export function fromLocalInput(text: string): number | undefined {
  const when = new Date(text).getTime();
  return Number.isNaN(when) ? undefined : when;
}
