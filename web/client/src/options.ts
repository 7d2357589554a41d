/** Options, checked and with their defaults. */
import { parsePosition, type After } from './position.js';
import type { Options } from './tenbells.js';

/** What a followed blog needs to know. */
export type Ready = Pick<Options, 'token' | 'ticket' | 'transport'> & {
  url: string;
  topics: string[];
  after: Record<string, After>;
  storage: boolean;
  awayAfter: number;
  buffer: number;
  /** Name of the tabs that share a connection; none for a tab alone. */
  group: string | undefined;
};

const TOPICS_MAX = 32;

function check(isGood: unknown, what: string): asserts isGood {
  if (!isGood) throw new TypeError(`tenbells: ${what}`);
}

/** Tells keys apart without showing them. */
function hash(text: string): number {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.charCodeAt(0)) | 0;
  return sum;
}

/** Reads options; a TypeError names the first that is not good. */
export function readOptions(options: Options): Ready {
  const { token, ticket, transport = 'auto', awayAfter = 30_000, buffer = 1000 } = options;
  const url = (options.url ?? location.origin).replace(/\/+$/, '');
  check(/^https?:\/\/[^?#]+$/.test(url), 'url is http(s)://host, with a path where it has one');
  const topics = [...new Set(options.topic === undefined ? options.topics ?? [] : [options.topic])];
  check(topics.length && topics.length <= TOPICS_MAX, `topic, or 1 to ${TOPICS_MAX} topics, are needed`);
  for (const topic of topics) check(/^[a-z0-9][a-z0-9-]{0,127}$/.test(topic), `${topic} is no topic name`);
  const after: Record<string, After> =
    typeof options.after === 'string' ? { [topics[0]!]: options.after } : { ...options.after };
  for (const each of Object.values(after)) check(each === undefined || each === 'start' || parsePosition(each), `${each} is no position`);
  check(/^(auto|websocket|sse|poll)$/.test(transport), 'transport is auto, websocket, sse or poll');
  check(!token || !ticket, 'token and ticket exclude each other');
  check(awayAfter >= 0 && buffer >= 1, 'awayAfter and buffer are positive numbers');
  const isPrivate = token || ticket;
  const group = `tenbells:${url}:${transport}${isPrivate ? `:${[...topics].sort()}:${hash(token ?? '')}` : ''}`;
  return {
    url,
    topics,
    after,
    awayAfter,
    buffer,
    transport,
    storage: options.storage ?? true,
    group: options.share === false ? undefined : group,
    ...(token && { token }),
    ...(ticket && { ticket }),
  };
}
