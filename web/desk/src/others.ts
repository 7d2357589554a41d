/** Who else is at this topic's desk: says so every few seconds, and hears who answers to it. */
import { topicPath } from './api.js';
import { mayInspect, type Context } from './context.js';
import { ulid } from './ulid.js';

/** How often, in ms; the broker forgets a desk after 30 s. */
const EVERY = 5000;

export interface Colleague {
  name: string;
  entry?: string;
  own?: boolean;
}

export class Others {
  readonly #session = ulid();
  #entry: string | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #over = new AbortController();

  constructor(
    private readonly context: Context,
    private readonly topic: string,
    private readonly heard: (desks: Colleague[]) => void,
  ) {}

  open(): void {
    if (!mayInspect(this.context)) return;
    this.#timer = setInterval(() => void this.#tell(), EVERY);
    addEventListener('pagehide', () => this.#leave(), { signal: this.#over.signal });
    addEventListener('pageshow', ({ persisted }) => {
      if (persisted) void this.#tell();
    }, { signal: this.#over.signal });
    void this.#tell();
  }

  /** The entry that is being edited, for the others to see at once. */
  editing(entry: string | undefined): void {
    if (entry === this.#entry) return;
    this.#entry = entry;
    if (this.#timer !== undefined) void this.#tell();
  }

  close(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#over.abort();
    this.#leave();
  }

  get #path(): string {
    return topicPath(this.topic, `/desks/${this.#session}`);
  }

  async #tell(): Promise<void> {
    const { api, name, grant } = this.context;
    const body = JSON.stringify({ name: name || `Key ${grant.key}`, ...(this.#entry === undefined ? {} : { entry: this.#entry }) });
    try {
      const { json } = await api.call({ method: 'PUT', path: this.#path, body, signal: this.#over.signal });
      this.heard(json.desks);
    } catch {
      // The next time will tell.
    }
  }

  #leave(): void {
    void this.context.api.call({ method: 'DELETE', path: this.#path, keepalive: true }).catch(() => {});
  }
}
