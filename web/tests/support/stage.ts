/**
 * A browser and a broker without either: what the client library needs of a page, a clock that the test turns, and the
 * broker's side of WebSockets and requests. For node's test runner.
 */
import { setMaxListeners } from 'node:events';
import { mock } from 'node:test';

/** What the library says to the broker: a message, or a request. */
export type Said = Record<string, unknown>;

/** A request that waits for its answer. */
export interface Asked {
  url: URL;
  headers: Headers;
  answer(response: Response): void;
}

/** How far the clock is turned at a time, and for how long at most, in ms. */
const STEP = 50;
const PATIENCE = 200_000;

/** A WebSocket, from the broker's side. */
class Socket {
  readyState = 0;
  onopen: (() => void) | undefined;
  onmessage: ((event: { data: string }) => void) | undefined;
  onclose: ((event: { code: number; reason: string }) => void) | undefined;

  constructor(readonly stage: Stage, readonly url: string) {
    stage.sockets.push(this);
    if (stage.refusesSockets) void Promise.resolve().then(() => this.end(1006));
    else void Promise.resolve().then(() => this.#open());
  }

  #open(): void {
    if (this.readyState) return;
    this.readyState = 1;
    this.onopen?.();
  }

  send(text: string): void {
    this.stage.said.push(JSON.parse(text) as Said);
  }

  close(): void {
    this.readyState = 3;
  }

  /** The broker says something. */
  say(message: object | string): void {
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }

  /** The broker closes it, or with 1006 the network. */
  end(code: number, reason = ''): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

/** A page and its network. */
export class Stage {
  readonly said: Said[] = [];
  readonly sockets: Socket[] = [];
  readonly asked: Asked[] = [];
  refusesSockets = false;
  readonly window = new EventTarget();
  readonly document = { hidden: false };
  readonly stored = new Map<string, string>();

  constructor() {
    // At some other time than 0, at which nothing has happened yet.
    mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_000_000 });
    // The mocked one takes no delay for never.
    const mocked = globalThis.setTimeout;
    globalThis.setTimeout = ((callback: () => void, ms = 0) => mocked(callback, ms)) as typeof setTimeout;
    const stage = this;
    const room = {
      window: this.window,
      document: this.document,
      location: { origin: 'https://newsroom.example' },
      navigator: { onLine: true },
      sessionStorage: {
        getItem: (name: string) => this.stored.get(name) ?? null,
        setItem: (name: string, value: string) => void this.stored.set(name, value),
      },
      WebSocket: function (url: string) {
        return new Socket(stage, url);
      },
      fetch: (url: string, options: RequestInit) => this.#fetch(url, options),
    };
    for (const [name, value] of Object.entries(room)) {
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    }
  }

  /** Takes the clock away. */
  end(): void {
    mock.timers.reset();
  }

  get socket(): Socket {
    return this.sockets.at(-1)!;
  }

  get now(): number {
    return Date.now();
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let round = 0; round < 8; round++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    for (let rest = ms; rest > 0; rest -= STEP) {
      mock.timers.tick(Math.min(STEP, rest));
      await this.settle();
    }
  }

  /** Lets time pass at once, as over a sleep: timers come late. */
  async sleep(ms: number): Promise<void> {
    mock.timers.setTime(this.now + ms);
    await this.settle();
  }

  /** Lets time pass until something is so. */
  async until(isSo: () => unknown): Promise<void> {
    await this.settle();
    for (let waited = 0; !isSo(); waited += STEP) {
      if (waited > PATIENCE) throw new Error(`not within ${PATIENCE} ms: ${isSo}`);
      await this.pass(STEP);
    }
  }

  /** The next thing that the library says. */
  async next(): Promise<Said> {
    await this.until(() => this.said.length);
    return this.said.shift()!;
  }

  /** The next request. */
  async request(): Promise<Asked> {
    await this.until(() => this.asked.length);
    return this.asked.shift()!;
  }

  #fetch(url: string, { signal, headers }: RequestInit): Promise<Response> {
    return new Promise((resolve, reject) => {
      // Each long poll of a topic hangs on the same signal.
      if (signal) setMaxListeners(0, signal);
      signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
      const asked = { url: new URL(url), headers: new Headers(headers), answer: resolve };
      this.asked.push(asked);
      const { searchParams, pathname } = asked.url;
      const said: Said = { get: pathname.split('/').at(-1) };
      if (searchParams.has('wait')) said['wait'] = Number(searchParams.get('wait'));
      if (searchParams.has('after')) said['after'] = searchParams.get('after');
      this.said.push(said);
    });
  }
}

/** An event stream that the test writes. */
export class Stream {
  #control!: ReadableStreamDefaultController<Uint8Array>;
  readonly response = new Response(
    new ReadableStream<Uint8Array>({ start: (control) => void (this.#control = control) }),
    { headers: { 'Content-Type': 'text/event-stream' } },
  );

  /** Writes a block of fields; the one without a name is the comment. */
  block(fields: Record<string, unknown>): void {
    const lines = Object.entries(fields).map(([name, value]) =>
      `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}\n`);
    this.write(`${lines.join('')}\n`);
  }

  write(text: string): void {
    this.#control.enqueue(new TextEncoder().encode(text));
  }

  end(): void {
    this.#control.close();
  }
}

/** An answer in JSON. */
export function json(status: number, body: object, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json', ...headers } });
}
