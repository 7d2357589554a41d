/**
 * Every word that the element itself says, in one place. The page's own words stand in the server's templates.
 * Pure: knows no DOM.
 */
import type { Away, State } from 'tenbells';

export const VERIFICATION: Readonly<Record<string, string>> = {
  confirmed: 'Confirmed',
  unconfirmed: 'Unconfirmed',
  disputed: 'Disputed',
  developing: 'Developing',
};

export const words = {
  bar: 'Live blog controls',
  correction: 'Correction',
  dismiss: 'Dismiss',
  ended: 'This live blog has ended',
  continues: 'It continues:',
  inPlace: 'Read in place',
  isKey: 'Key event',
  isPinned: 'Pinned',
  loading: 'Loading…',
  loadFailed: 'That did not work. Try again',
  newestFirst: 'Newest first',
  oldestFirst: 'Oldest first',
  olderPage: 'Load older updates',
  newerPage: 'Load newer updates',
  pause: 'Pause',
  permalink: 'Link to this update',
  predecessor: 'Earlier coverage:',
  reopened: 'This live blog is live again',
  resume: 'Resume',
  retracted: 'This update was retracted.',
  revised: 'Updated',
  tags: 'Tags',
  toldCorrected: 'An update was corrected',
  toldRetracted: 'An update was retracted',
} as const;

export const plural = (count: number, one: string, many: string): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

export const newUpdates = (count: number): string => plural(count, 'new update', 'new updates');
export const loaded = (count: number): string => `${plural(count, 'update', 'updates')} loaded`;
export const sources = (count: number): string => (count === 1 ? 'Source: ' : 'Sources: ');
export const readers = (count: number): string => plural(count, 'reader', 'readers');

/** "While you were away: 14 updates, 2 key, 1 correction"; none where there was nothing to tell. */
export function whileAway(away: Pick<Away, 'entries' | 'key' | 'corrections' | 'retractions'>): string | undefined {
  const parts = [
    away.entries && plural(away.entries, 'update', 'updates'),
    away.key && `${away.key} key`,
    away.corrections && plural(away.corrections, 'correction', 'corrections'),
    away.retractions && plural(away.retractions, 'retraction', 'retractions'),
  ].filter(Boolean);
  return parts.length ? `While you were away: ${parts.join(', ')}` : undefined;
}

/** What the connection is said to be. `asOf` is when the page was last known to be complete. */
export function connection(state: State, isPaused: boolean, asOf: string | undefined): string {
  if (isPaused && (state === 'live' || state === 'ended')) return 'Paused';
  switch (state) {
    case 'live':
      return 'Live';
    case 'ended':
      return 'Ended';
    case 'connecting':
      return 'Connecting…';
    case 'catching-up':
      return 'Catching up…';
    case 'paused':
      return 'Paused';
    case 'offline':
      return asOf ? `Offline, as of ${asOf}` : 'Offline';
    default:
      return 'Not live: reload';
  }
}
