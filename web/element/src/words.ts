/**
 * Every word that the element itself says, in one place: English, or what the newsroom gives for the language of its blog
 * (docs/embed.md, "In another language"). The page's own words stand in the server's templates. Pure: knows no DOM.
 */
import type { Away, State } from 'tenbells';

/** Forms by the plural rules of the language (`one`, `few`, `other` …), with `{n}` where the number goes. */
type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

const defaults = {
  and: ' and ',
  asOf: 'Offline, as of {time}',
  bar: 'Live blog controls',
  by: 'By ',
  catchingUp: 'Catching up…',
  closed: 'Not live: reload',
  confirmed: 'Confirmed',
  connecting: 'Connecting…',
  continues: 'It continues:',
  correction: 'Correction',
  developing: 'Developing',
  dismiss: 'Dismiss',
  disputed: 'Disputed',
  ended: 'This live blog has ended',
  inPlace: 'Read in place',
  isKey: 'Key event',
  isPinned: 'Pinned',
  live: 'Live',
  loading: 'Loading…',
  loadFailed: 'That did not work. Try again',
  newerPage: 'Load newer updates',
  newestFirst: 'Newest first',
  offline: 'Offline',
  olderPage: 'Load older updates',
  oldestFirst: 'Oldest first',
  over: 'Ended',
  pause: 'Pause',
  paused: 'Paused',
  permalink: 'Link to this update',
  predecessor: 'Earlier coverage:',
  reopened: 'This live blog is live again',
  resume: 'Resume',
  retracted: 'This update was retracted.',
  revised: 'Updated',
  tags: 'Tags',
  toldCorrected: 'An update was corrected',
  toldRetracted: 'An update was retracted',
  unconfirmed: 'Unconfirmed',
  whileAway: 'While you were away: {what}',
};

const countedDefaults = {
  corrections: { one: '{n} correction', other: '{n} corrections' },
  keys: { other: '{n} key' },
  loaded: { one: '{n} update loaded', other: '{n} updates loaded' },
  newUpdates: { one: '{n} new update', other: '{n} new updates' },
  readers: { one: '{n} reader', other: '{n} readers' },
  retractions: { one: '{n} retraction', other: '{n} retractions' },
  sources: { one: 'Source: ', other: 'Sources: ' },
  updates: { one: '{n} update', other: '{n} updates' },
} satisfies Record<string, Forms>;

export const words = { ...defaults };
const counted: Record<keyof typeof countedDefaults, Forms> = { ...countedDefaults };
let rules = new Intl.PluralRules('en');
let numbers = new Intl.NumberFormat('en');

/**
 * Takes other words, for the language `tag`: an object with some or all of the names above, plain text for the first
 * table and forms for the second. Gives the names that it could not use; those stay as they were.
 */
export function useWords(given: Readonly<Record<string, unknown>>, tag: string): string[] {
  try {
    rules = new Intl.PluralRules(tag);
    numbers = new Intl.NumberFormat(tag);
  } catch {
    // No language that the browser knows: English numbers.
  }
  return Object.entries(given).filter(([name, value]) => {
    if (Object.hasOwn(defaults, name) && typeof value === 'string') words[name as keyof typeof defaults] = value;
    else if (Object.hasOwn(countedDefaults, name) && isForms(value)) counted[name as keyof typeof countedDefaults] = value;
    else return true;
    return false;
  }).map(([name]) => name);
}

function isForms(value: unknown): value is Forms {
  return typeof value === 'object' && !!value && 'other' in value && Object.values(value).every((form) => typeof form === 'string');
}

function count(name: keyof typeof countedDefaults, n: number): string {
  const forms = counted[name];
  return (forms[rules.select(n)] ?? forms.other).replace('{n}', numbers.format(n));
}

export const newUpdates = (n: number): string => count('newUpdates', n);
export const loaded = (n: number): string => count('loaded', n);
export const sources = (n: number): string => count('sources', n);
export const readers = (n: number): string => count('readers', n);

const VERIFICATIONS = ['confirmed', 'unconfirmed', 'disputed', 'developing'] as const;

/** What a mark of verification says; none for one that this page doesn't know. */
export function verification(mark: string | null | undefined): string | undefined {
  const known = VERIFICATIONS.find((name) => name === mark);
  return known && words[known];
}

/** "While you were away: 14 updates, 2 key, 1 correction"; none where there was nothing to tell. */
export function whileAway(away: Pick<Away, 'entries' | 'key' | 'corrections' | 'retractions'>): string | undefined {
  const parts = ([['updates', away.entries], ['keys', away.key], ['corrections', away.corrections], ['retractions', away.retractions]] as const)
    .filter(([, n]) => n)
    .map(([name, n]) => count(name, n));
  return parts.length ? words.whileAway.replace('{what}', parts.join(', ')) : undefined;
}

/** What the connection is said to be. `asOf` is when the page was last known to be complete. */
export function connection(state: State, isPaused: boolean, asOf: string | undefined): string {
  if (isPaused && (state === 'live' || state === 'ended')) return words.paused;
  switch (state) {
    case 'live':
      return words.live;
    case 'ended':
      return words.over;
    case 'connecting':
      return words.connecting;
    case 'catching-up':
      return words.catchingUp;
    case 'paused':
      return words.paused;
    case 'offline':
      return asOf ? words.asOf.replace('{time}', asOf) : words.offline;
    default:
      return words.closed;
  }
}
