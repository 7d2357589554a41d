/**
 * What the three transports have in common, and how HTTP answers are judged. A carrier is one attempt: it follows topics
 * until it ends, and never tries again by itself.
 */
import { advice } from './backoff.js';
import type { After } from './position.js';
import { parseObject, type Message } from './wire.js';
import type { Trouble } from './tenbells.js';

/** Why a carrier ended. */
export interface End {
  /** What the broker said of when to come back: wait at least this long, in ms. */
  delay?: number | undefined;
  /** First step of the back-off that the broker wishes, in ms. */
  base?: number | undefined;
  /** The broker refuses: trying again is of no use, except with another ticket where it is about that. */
  refused?: Trouble | undefined;
}

/** Where a carrier puts what arrives. Nothing may be put after `ended`. */
export interface Sink {
  /** Bytes arrived, whatever they are. */
  heard(): void;
  message(message: Message): void;
  ended(end: End): void;
}

/** What a carrier needs. */
export interface Line {
  /** The broker, without a slash at its end. */
  url: string;
  token: string | undefined;
  ticket: ((topics: string[]) => Promise<string>) | undefined;
  /** Topics to follow from the beginning, and from where. */
  topics: [string, After][];
  sink: Sink;
}

/** One attempt on one transport. */
export interface Carrier {
  subscribe(topic: string, after: After): void;
  unsubscribe(topic: string): void;
  /** Makes the broker say something, where that is possible. */
  ping(): void;
  /** Ends it without a word to the sink. */
  close(): void;
}

/** Codes that no other attempt will better. */
export const FINAL = /^(unauthorized|forbidden|origin_refused|topic_not_found|invalid_\w+|limit_reached)$/;

/** How an HTTP answer that isn't 2xx ends a carrier. What no broker said (a proxy's page) is an accident. */
export async function refusal(response: Response, topic: string): Promise<End> {
  const problem = parseObject(await response.text());
  const code = String(problem?.['code']);
  const refused = {
    code,
    message: String(problem?.['detail']),
    topic: /^(un|origin)/.test(code) ? undefined : topic,
    fatal: true,
  };
  return {
    delay: advice(response.headers.get('retry-after'), 1000),
    refused: FINAL.test(code) ? refused : undefined,
  };
}

/** A carrier with a request, or a chain of them, for each topic. `follow` ends by throwing an End, or without one. */
export function perTopic(
  line: Line,
  follow: (topic: string, after: After, get: (query: string, ticket?: string) => Promise<Response>) => Promise<End>,
): Carrier {
  const requests = new Map<string, AbortController>();
  let isOver = false;
  const close = (): void => {
    isOver = true;
    for (const request of requests.values()) request.abort();
  };
  const carrier: Carrier = {
    subscribe(topic, after) {
      requests.get(topic)?.abort();
      const control = new AbortController();
      requests.set(topic, control);
      const { signal } = control;
      const get = async (path: string, ticket?: string): Promise<Response> => {
        const shown = ticket || (line.ticket && (await line.ticket([topic])));
        const response = await fetch(
          `${line.url}/v1/topics/${topic}/${path}${shown ? `&ticket=${shown}` : ''}`,
          { signal, cache: 'no-store', ...(line.token && { headers: { Authorization: `Bearer ${line.token}` } }) },
        );
        if (!response.ok) throw await refusal(response, topic);
        return response;
      };
      follow(topic, after, get)
        .catch((end: unknown) => (end instanceof Error ? {} : end) as End)
        .then((end) => {
          if (isOver || signal.aborted) return;
          const { refused } = end;
          if (refused?.topic) return line.sink.message({ op: 'error', ...refused });
          close();
          line.sink.ended(end);
        });
    },
    unsubscribe(topic) {
      requests.get(topic)?.abort();
      requests.delete(topic);
    },
    ping() {},
    close,
  };
  for (const [topic, after] of line.topics) carrier.subscribe(topic, after);
  return carrier;
}
