/** Options, checked and with their defaults. */
import { parsePosition, type After } from './position.js';
import type { Options } from './tenbells.js';

/** What a followed blog needs to know. */
export type Ready = {
  token: Options['token'];
  ticket: Options['ticket'];
  transport: NonNullable<Options['transport']>;
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

function check(isGood: unknown, name: string): asserts isGood {
  if (!isGood) throw new TypeError(`tenbells: bad ${name}`);
}

/** Reads options; a TypeError names the first that is not good. */
export function readOptions(options: Options): Ready {
  const { token, ticket, transport = 'auto', awayAfter = 30_000, buffer = 1000 } = options;
  const url = (options.url ?? location.origin).replace(/\/+$/, '');
  check(/^https?:\/\/[^?#]+$/.test(url), 'url');
  const topics = [...new Set(options.topic === undefined ? options.topics ?? [] : [options.topic])];
  check(topics.length && topics.length <= TOPICS_MAX, 'topics');
  for (const topic of topics) check(/^[a-z0-9][a-z0-9-]{0,127}$/.test(topic), `topic ${topic}`);
  const after: Record<string, After> =
    typeof options.after === 'string' ? { [topics[0]!]: options.after } : { ...options.after };
  for (const each of Object.values(after)) check(each === undefined || each === 'start' || parsePosition(each), `after ${each}`);
  check(/^(auto|websocket|sse|poll)$/.test(transport), 'transport');
  check(!token || !ticket, 'ticket: there is a token');
  check(awayAfter >= 0 && buffer >= 1, 'awayAfter or buffer');
  // A ticket is good for the topics it was made for. Names of locks can be seen: no key may have a part in one.
  const group = `tenbells1:${url}:${transport}:${ticket ? [...topics].sort() : ''}`;
  return {
    url,
    topics,
    after,
    awayAfter,
    buffer,
    transport,
    token,
    ticket,
    storage: options.storage ?? true,
    group: token || options.share === false ? undefined : group,
  };
}
