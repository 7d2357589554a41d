/**
 * A followed blog, as its page has it: where it stands in each topic, its listeners, its state, and what it does when the
 * page sleeps, hides or comes back. What comes from the connection may be repeated, out of another tab's past, or have
 * gaps: here each change gets through once and in order.
 */
import { createAwayCount, type AwayCount } from './away.js';
import { createBuffer, type Buffer } from './buffer.js';
import { readOptions, type Ready } from './options.js';
import { stored } from './storage.js';
import { Share } from './share.js';
import { begin, isCaughtUp, rewind, take, type Track } from './track.js';
import { parsePosition, type After } from './position.js';
import type { Change, Events, Live, Options, State, Transport } from './tenbells.js';
import type { Link, Wire } from './wire.js';

/** How often due things are looked after, in ms. */
const TICK = 1500;
/** How late that may be before the machine must have slept, in ms; timers of hidden pages run once a minute. */
const SLEPT = 15_000;
const SLEPT_HIDDEN = 75_000;
/** How long after a change positions are stored, in ms. */
const STORE_AFTER = 250;

interface Followed extends Track {
  /** Asked to be caught up, and not yet told from where. */
  isAsking: boolean;
  hasEnded: boolean;
  away: AwayCount;
}

export function createLive(options: Options): Live {
  return new LiveBlog(readOptions(options));
}

class LiveBlog implements Live {
  readonly #options: Ready;
  readonly #tracks = new Map<string, Followed>();
  readonly #listeners = new Map<keyof Events, Set<(detail: never) => void>>();
  readonly #buffers = new Set<Buffer<Change>>();
  #share: Share | undefined;
  #link: Link = 'connecting';
  #state: State = 'connecting';
  #transport: Transport | undefined;
  /** `paused` and `closed` are the page's own will. */
  #will: 'paused' | 'closed' | undefined;
  /** Since when there is no connection, where there was one before. */
  #lostAt: number | undefined;
  #tickedAt = Date.now();
  #storeTimer: ReturnType<typeof setTimeout> | undefined;
  #clock: ReturnType<typeof setInterval> | undefined;
  readonly #unhook: () => void;

  constructor(options: Ready) {
    this.#options = options;
    for (const topic of options.topics) this.#follow(topic, options.after[topic]);
    this.#unhook = this.#hook();
    this.#join();
  }

  get state(): State {
    return this.#state;
  }

  get transport(): Transport | undefined {
    return this.#transport;
  }

  position(topic: string): string | undefined {
    const at = this.#tracks.get(topic)?.at;
    return at === 'start' ? undefined : at;
  }

  on<Type extends keyof Events>(type: Type, listener: (detail: Events[Type]) => void): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  changes(): AsyncIterableIterator<Change> {
    const buffer: Buffer<Change> = createBuffer(this.#options.buffer, () => this.#buffers.delete(buffer));
    this.#buffers.add(buffer);
    if (this.#will === 'closed') buffer.end();
    return buffer.items;
  }

  subscribe(topic: string, after?: string): void {
    readOptions({ ...this.#options, topic, after: { [topic]: after ?? 'start' } });
    this.#follow(topic, after);
    this.#share?.want(topic, this.#tracks.get(topic)!.at);
    this.#update();
  }

  unsubscribe(topic: string): void {
    if (this.#tracks.delete(topic)) this.#share?.drop(topic);
    this.#update();
  }

  pause(): void {
    if (this.#will) return;
    this.#will = 'paused';
    this.#suspend();
  }

  resume(): void {
    if (this.#will !== 'paused') return;
    this.#will = undefined;
    this.#join();
  }

  close(): void {
    this.#will = 'closed';
    this.#suspend();
    this.#unhook();
    for (const buffer of this.#buffers) buffer.end();
  }

  #follow(topic: string, after: After): void {
    const { url, storage } = this.#options;
    this.#tracks.set(topic, {
      at: after ?? (storage ? stored(url, topic) : undefined),
      head: Infinity,
      isAsking: true,
      hasEnded: false,
      away: createAwayCount(),
    });
  }

  /** Listens for what may end a connection, or bring one back. */
  #hook(): () => void {
    const over = new AbortController();
    const wake = (): void => this.#share?.wake();
    const join = (): void => this.#join();
    const suspend = (): void => this.#suspend();
    const seen = (): void => {
      if (document.hidden) return;
      this.#look();
      wake();
    };
    const listeners = {
      online: wake,
      offline: wake,
      // A page that keeps its connection is not kept by the browser; and what is kept must not hold the others up.
      pagehide: suspend,
      pageshow: join,
      freeze: suspend,
      resume: join,
      visibilitychange: seen,
    };
    for (const [type, listener] of Object.entries(listeners)) {
      // Events of the document come by here on their way down.
      window.addEventListener(type, listener, { capture: true, signal: over.signal });
    }
    return () => over.abort();
  }

  #join(): void {
    if (this.#share || this.#will) return;
    this.#link = 'connecting';
    this.#tickedAt = Date.now();
    this.#doubt();
    this.#clock = setInterval(() => {
      this.#look();
      this.#share?.tick();
    }, TICK);
    const tab = {
      take: (wire: Wire): void => this.#take(wire),
      wants: (): [string, After][] => [...this.#tracks].map(([topic, { at }]) => [topic, at]),
    };
    this.#share = new Share(tab, this.#options, this.#options.group);
    this.#update();
  }

  #suspend(): void {
    clearInterval(this.#clock);
    const share = this.#share;
    this.#share = undefined;
    share?.leave();
    this.#link = 'connecting';
    this.#store();
    this.#update();
  }

  /** From now on it isn't known whether anything is missing. */
  #doubt(): void {
    for (const track of this.#tracks.values()) {
      track.head = Infinity;
      track.isAsking = true;
    }
  }

  /** Looks whether the page slept. What wakes it may be its clock, what came for it meanwhile, or the end of its connection. */
  #look(): void {
    const since = this.#tickedAt;
    this.#tickedAt = Date.now();
    if (this.#tickedAt - since - TICK > (document.hidden ? SLEPT_HIDDEN : SLEPT)) {
      if (this.#isCurrent()) this.#lostAt = since;
      this.#doubt();
      this.#update();
      this.#share?.wake(true);
    }
  }

  #take(wire: Wire): void {
    this.#look();
    switch (wire.op) {
      case 'link':
        this.#link = wire.link;
        this.#transport = wire.transport;
        if (wire.link === 'closed') return this.close();
        if (wire.link !== 'open') this.#doubt();
        break;
      case 'subscribed':
        this.#onSubscribed(wire.topic, wire.position, wire.head);
        break;
      case 'change':
        this.#onChange(wire.change, wire.epoch);
        break;
      case 'reset': {
        const { op: _, ...reset } = wire;
        const track = this.#tracks.get(reset.topic);
        if (track && rewind(track, reset.position)) this.#emit('reset', reset);
        break;
      }
      case 'presence':
        if (this.#tracks.has(wire.topic)) this.#emit(wire.op, { topic: wire.topic, readers: wire.readers });
        return;
      case 'error': {
        const { topic, fatal } = wire.trouble;
        if (topic && !this.#tracks.has(topic)) return;
        this.#emit('error', wire.trouble);
        if (topic && fatal) {
          this.unsubscribe(topic);
          if (!this.#tracks.size) this.close();
        }
      }
    }
    this.#update();
  }

  #onSubscribed(topic: string, position: string, head: number): void {
    const track = this.#tracks.get(topic);
    if (!track) return;
    const verdict = begin(track, position, head);
    if (verdict === 'gap') return this.#share?.want(topic, track.at);
    track.isAsking = false;
    this.#storeSoon();
    if (verdict === 'reset') this.#emit('reset', { topic, position, reason: 'epoch_changed' });
  }

  #onChange(change: Change, epoch: string): void {
    const { topic } = change;
    const track = this.#tracks.get(topic);
    if (!track) return;
    const verdict = take(track, epoch, change.offset);
    if (verdict === 'gap' && !track.isAsking) {
      track.isAsking = true;
      this.#share?.want(topic, track.at);
    }
    if (verdict !== 'next') return;
    if (change.state) track.hasEnded = change.state.status === 'ended';
    if (this.#lostAt) track.away.add(change);
    this.#emit('change', change);
    for (const buffer of this.#buffers) buffer.push(change);
    this.#storeSoon();
  }

  #isCurrent(): boolean {
    return this.#state === 'live' || this.#state === 'ended';
  }

  #update(): void {
    const tracks = [...this.#tracks.values()];
    const state: State =
      this.#will ??
      (this.#link !== 'open'
        ? (this.#link as State)
        : !tracks.every(isCaughtUp)
          ? 'catching-up'
          : tracks.length && tracks.every(({ hasEnded }) => hasEnded)
            ? 'ended'
            : 'live');
    const previous = this.#state;
    if (this.#link !== 'open' || this.#will) this.#transport = undefined;
    if (state === previous) return;
    if (this.#isCurrent()) this.#lostAt ??= this.#tickedAt;
    this.#state = state;
    if (this.#isCurrent()) this.#back();
    this.#emit('state', { state, previous, transport: this.#transport });
  }

  /** Nothing is missing any more: tells what was. */
  #back(): void {
    const lostAt = this.#lostAt;
    this.#lostAt = undefined;
    if (!lostAt) return;
    const isAway = Date.now() - lostAt >= this.#options.awayAfter;
    for (const [topic, track] of this.#tracks) {
      const { away } = track;
      track.away = createAwayCount();
      if (isAway && away.sum.changes) this.#emit('away', { topic, since: new Date(lostAt).toISOString(), ...away.sum });
    }
  }

  #emit<Type extends keyof Events>(type: Type, detail: Events[Type]): void {
    for (const listener of this.#listeners.get(type) ?? []) {
      try {
        (listener as (detail: Events[Type]) => void)(detail);
      } catch (error) {
        // A fault of one listener is for the page's own error reporting, and no reason to lose a change.
        setTimeout(() => {
          throw error;
        });
      }
    }
  }

  #storeSoon(): void {
    this.#storeTimer ??= setTimeout(() => this.#store(), STORE_AFTER);
  }

  #store(): void {
    clearTimeout(this.#storeTimer);
    this.#storeTimer = undefined;
    if (!this.#options.storage) return;
    for (const [topic, { at }] of this.#tracks) if (parsePosition(at)) stored(this.#options.url, topic, at);
  }
}
