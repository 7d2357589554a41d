/**
 * Calls of the broker with the editor's key, which is in the Authorization header and nowhere else. Every call ends
 * within a bound: with an answer, with a problem document, or with {@link Unreachable}. Decides nothing about trying again.
 */
import { Problem, Unreachable } from './problem.js';

export { Problem } from './problem.js';

/** How long a call may take, in ms. */
const PATIENCE = 10_000;

export interface Call {
  method: string;
  path: string;
  /** JSON. The same call again has to have the same bytes, so it is kept as text. */
  body?: string | undefined;
  ifMatch?: number | undefined;
  idempotencyKey?: string | undefined;
  /** Sent even while the page goes away. */
  keepalive?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface Answer {
  // The shapes stand in docs/protocol.md; whoever asks knows which one it is.
  json: any;
  replayed: boolean;
}

/** What GET /v1/key tells. */
export interface Grant {
  key: string;
  role: string;
  topics: string[];
  rights: string[];
}

/** Where the broker is: beside this page. */
export const BASE = location.pathname.replace(/\/desk\/?$/, '');

export class Api {
  constructor(
    readonly key: string,
    /** Called when the key turns out to be good no more. */
    private readonly onUnauthorized: () => void = () => {},
  ) {}

  async get(path: string, signal?: AbortSignal): Promise<any> {
    return (await this.call({ method: 'GET', path, signal })).json;
  }

  async call(call: Call): Promise<Answer> {
    const { response, text } = await this.#fetch(call);
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    const json = isJson ? parsed(text) : undefined;
    if (response.ok && json !== undefined) {
      return { json, replayed: response.headers.get('idempotency-replayed') === 'true' };
    }
    if (response.status === 401) this.onUnauthorized();
    const seconds = Number(response.headers.get('retry-after'));
    throw new Problem(
      response.ok ? 502 : response.status,
      json?.code ?? 'http',
      json?.detail ?? `the answer was ${response.status} ${response.statusText}`,
      json?.field,
      seconds > 0 ? seconds * 1000 : undefined,
    );
  }

  async #fetch(call: Call): Promise<{ response: Response; text: string }> {
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), PATIENCE);
    const stop = (): void => over.abort();
    call.signal?.addEventListener('abort', stop);
    const headers: Record<string, string> = { Authorization: `Bearer ${this.key}`, Accept: 'application/json' };
    if (call.body !== undefined) headers['Content-Type'] = 'application/json';
    if (call.ifMatch !== undefined) headers['If-Match'] = `"${call.ifMatch}"`;
    if (call.idempotencyKey) headers['Idempotency-Key'] = call.idempotencyKey;
    try {
      const response = await fetch(BASE + call.path, {
        method: call.method,
        headers,
        body: call.body ?? null,
        cache: 'no-store',
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
        keepalive: call.keepalive ?? false,
        signal: over.signal,
      });
      return { response, text: await response.text() };
    } catch {
      throw new Unreachable('the broker did not answer');
    } finally {
      clearTimeout(timer);
      call.signal?.removeEventListener('abort', stop);
    }
  }
}

function parsed(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The path of a topic, or of what is below it. */
export function topicPath(topic: string, below = ''): string {
  return `/v1/topics/${encodeURIComponent(topic)}${below}`;
}

/** The path of an entry. */
export function entryPath(topic: string, id: string): string {
  return topicPath(topic, `/entries/${encodeURIComponent(id)}`);
}
