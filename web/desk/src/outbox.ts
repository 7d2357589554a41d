/**
 * Every write of the desk, from the key stroke to the answer. A write is kept on the device before it leaves, with its
 * idempotency key, so that it can be sent again after anything: a lost reply, a restart of the broker, a crash of the
 * tab. Writes to one entry go one after the other, and new entries in the order in which they were published; one that
 * is refused is kept with the reason, and lets the others by.
 */
import type { Answer, Api } from './api.js';
import { Problem } from './api.js';
import type { Keep, Write } from './keep.js';
import { inPlainWords, judge, provesNothingStored, retryDelay } from './outcome.js';
import type { Tab } from './tab.js';
import { ulid } from './ulid.js';

/** How many durable writes are still shown. */
const DONE_MAX = 6;

export type Standing =
  | { is: 'waiting' }
  | { is: 'sending' }
  | { is: 'retrying'; at: number; why: string }
  /** On the medium. The position is none for what is under embargo. */
  | { is: 'durable'; position: string | null; at: number; replayed: boolean }
  | { is: 'refused'; why: string; problem: Problem }
  | { is: 'conflict'; why: string }
  /** Left behind by a tab that is gone. */
  | { is: 'unconfirmed' };

export interface Item {
  readonly write: Write;
  standing: Standing;
  attempts: number;
}

export type NewWrite = Omit<Write, 'id' | 'owner' | 'idempotencyKey' | 'madeAt' | 'isUncertain'>;

export interface OutboxEvents {
  /** Something moved: to be shown. */
  changed(item: Item): void;
  /** It is on the medium. */
  durable(item: Item, answer: Answer): void;
}

export class Outbox {
  #items: Item[] = [];
  readonly #running = new Set<string>();
  readonly #wakers = new Map<Item, () => void>();
  readonly #listeners = new Set<OutboxEvents>();

  constructor(
    private readonly api: () => Api,
    private readonly keep: Keep,
    private readonly tab: Tab,
  ) {
    addEventListener('online', () => this.wake());
  }

  /** Newest first. */
  items(topic: string): Item[] {
    return this.#items.filter(({ write }) => write.topic === topic).reverse();
  }

  /** Whether something is on its way, so that the page shouldn't be closed. */
  get isBusy(): boolean {
    return this.#items.some(({ standing }) => ['waiting', 'sending', 'retrying'].includes(standing.is));
  }

  listen(events: OutboxEvents): () => void {
    this.#listeners.add(events);
    return () => this.#listeners.delete(events);
  }

  /** Keeps a write and sends it. `draft` is the draft that it takes the place of. */
  async add(write: NewWrite, draft?: string): Promise<Item> {
    const whole: Write = {
      ...write,
      id: ulid(),
      owner: this.tab.id,
      idempotencyKey: `desk-${ulid()}`,
      madeAt: Date.now(),
      isUncertain: false,
    };
    const item: Item = { write: whole, standing: { is: 'waiting' }, attempts: 0 };
    this.#items.push(item);
    this.#tell(item);
    // Should the browser be unable to keep it, it is sent all the same: the editor has been told that nothing lasts here.
    await this.keep.putWrite(whole, draft).catch(() => {});
    void this.#run(lane(whole));
    return item;
  }

  /** Takes over what a tab left behind: shown, and sent again only when the editor says so. */
  adopt(write: Write): void {
    if (this.#items.some((item) => item.write.id === write.id)) return;
    const item: Item = { write: { ...write, owner: this.tab.id, isUncertain: true }, standing: { is: 'unconfirmed' }, attempts: 0 };
    this.#items.push(item);
    void this.keep.putWrite(item.write).catch(() => {});
    this.#tell(item);
  }

  /** Sends it again: at once, under the same idempotency key. */
  retry(item: Item): void {
    if (item.standing.is === 'retrying') return this.#wakers.get(item)?.();
    item.standing = { is: 'waiting' };
    this.#tell(item);
    void this.#run(lane(item.write));
  }

  /** Tries at once whatever waits for its next attempt. */
  wake(): void {
    for (const waker of [...this.#wakers.values()]) waker();
  }

  /** Forgets it. */
  async discard(item: Item): Promise<void> {
    this.#items = this.#items.filter((other) => other !== item);
    this.#wakers.get(item)?.();
    this.#tell(item);
    await this.keep.dropWrite(item.write.id).catch(() => {});
  }

  /** Forgets all, here; what is kept on the device is not its matter. */
  clear(): void {
    this.#items = [];
    this.wake();
  }

  async #run(name: string): Promise<void> {
    if (this.#running.has(name)) return;
    this.#running.add(name);
    for (;;) {
      const item = this.#items.find(({ write, standing }) => lane(write) === name && standing.is === 'waiting');
      if (!item) break;
      await this.#send(item);
    }
    this.#running.delete(name);
  }

  async #send(item: Item): Promise<void> {
    const { write } = item;
    while (this.#items.includes(item)) {
      item.attempts++;
      item.standing = { is: 'sending' };
      this.#tell(item);
      try {
        const answer = await this.api().call(write);
        return await this.#stored(item, answer);
      } catch (error) {
        const verdict = judge(error);
        if (provesNothingStored(error)) await this.#setUncertain(write, false);
        else if (verdict === 'unknown') await this.#setUncertain(write, true);
        const why = inPlainWords(error);
        if (verdict === 'conflict') item.standing = { is: 'conflict', why };
        else if (verdict === 'refused') item.standing = { is: 'refused', why, problem: error as Problem };
        else {
          const advised = error instanceof Problem ? error.retryAfter : undefined;
          await this.#pause(item, why, retryDelay(item.attempts, advised));
          continue;
        }
        return this.#tell(item);
      }
    }
  }

  async #stored(item: Item, answer: Answer): Promise<void> {
    item.standing = { is: 'durable', position: answer.json.position ?? null, at: Date.now(), replayed: answer.replayed };
    const done = this.#items.filter(({ standing, write }) => standing.is === 'durable' && write.topic === item.write.topic);
    for (const old of done.slice(0, -DONE_MAX)) this.#items = this.#items.filter((other) => other !== old);
    this.#tell(item);
    for (const listener of [...this.#listeners]) listener.durable(item, answer);
    await this.keep.dropWrite(item.write.id).catch(() => {});
  }

  async #setUncertain(write: Write, isUncertain: boolean): Promise<void> {
    if (write.isUncertain === isUncertain) return;
    write.isUncertain = isUncertain;
    await this.keep.putWrite(write).catch(() => {});
  }

  #pause(item: Item, why: string, ms: number): Promise<void> {
    item.standing = { is: 'retrying', at: Date.now() + ms, why };
    this.#tell(item);
    return new Promise((resolve) => {
      const go = (): void => {
        clearTimeout(timer);
        this.#wakers.delete(item);
        resolve();
      };
      const timer = setTimeout(go, ms);
      this.#wakers.set(item, go);
    });
  }

  #tell(item: Item): void {
    for (const listener of [...this.#listeners]) listener.changed(item);
  }
}

/** What goes one after the other. */
function lane(write: Write): string {
  return `${write.topic}/${write.what === 'publish' ? 'new' : (write.entry ?? 'topic')}`;
}
