/**
 * Applies changes to the page: what a change does to feed, pins, key events and topic, and when new entries may appear.
 * Knows no connection; whoever has one gives it the changes, each once and in order.
 */
import type { Change, Entry, Topic } from 'tenbells';
import { articleOf, tombstoneOf, type Place, type Tombstone } from './article.js';
import { breathe, part } from './dom.js';
import { Feed, isTombstone, offsetOf, revisionOf, type Order } from './feed.js';
import { Held, type Waiting } from './held.js';
import { KeyEvents, Pins } from './lists.js';
import { isCalm, keepPlace } from './scroll.js';
import { localise, localiseAll } from './times.js';
import { showTopic } from './topic.js';

/** What whoever owns the page wants to know. */
export interface Watcher {
  /** An entry came, was changed or was taken back, and the page shows it. */
  shown(kind: 'insert' | 'update' | 'retract', article: HTMLElement, entry: Entry | undefined): void;
  topicChanged(topic: Topic): void;
  /** The count of what waits may have changed. */
  waitingChanged(): void;
  /** Whether new entries may appear now. */
  mayAppear(): boolean;
  corrected(): void;
  retracted(): void;
  arrived(): void;
}

/** New entries that are put on the page in one go; more come with the next frame. */
const AT_ONCE = 4;

export class Blog {
  readonly feed: Feed;
  readonly held = new Held();
  isPaused = false;
  /** Whether a change stands for an entry of which it isn't known whether it belongs on the page. */
  #isUnsure = false;
  /** New entries since the page was opened, on a page that shows none. */
  beyond = 0;
  readonly #pins: Pins | undefined;
  readonly #keys: KeyEvents | undefined;
  readonly #isArchive: boolean;
  #flushing: Promise<void> | undefined;
  #isScheduled = false;

  constructor(
    private readonly root: HTMLElement,
    private readonly place: Place,
    private readonly watcher: Watcher,
  ) {
    const number = (name: string): number => Number(root.getAttribute(name) ?? 0);
    const feed = part(root, 'feed') ?? root.appendChild(document.createElement('div'));
    this.#isArchive = root.hasAttribute('archive');
    this.feed = new Feed(feed, (root.getAttribute('order') as Order | null) ?? 'newest', number('count'), number('first'));
    const pins = part(root, 'pins');
    const keys = part(root, 'events');
    // Pages of the archive have no copies: they stay as they are.
    if (pins && !this.#isArchive) this.#pins = new Pins(pins, place);
    if (keys) this.#keys = new KeyEvents(keys, place);
    localiseAll(root);
    this.#showEmpty();
  }

  /** Whether a fresh page has to be asked for what is missing here. */
  get isUnsure(): boolean {
    return this.#isUnsure || (!this.isPaused && (!!this.#pins?.isUnsure || !!this.#keys?.isUnsure));
  }

  apply(change: Change): void {
    switch (change.kind) {
      case 'entry.published':
        this.#published(change.entry!, change.offset);
        break;
      case 'entry.revised':
        this.#revised(change.entry!);
        break;
      case 'entry.retracted':
        this.#retracted({ id: change.id!, reason: change.reason, at: change.at });
        this.watcher.retracted();
        break;
      case 'entry.redacted':
        this.#redacted({ id: change.id!, at: change.at });
        break;
      case 'topic.updated':
        if (this.isPaused) this.held.topic = change.state;
        else this.#topic(change.state!);
        break;
      default:
        return;
    }
    this.#showUpdated(change.at);
  }

  /** Puts all that waits on the page. Gives the newest of them once all are there. */
  async flush(): Promise<HTMLElement | undefined> {
    await this.#flush(() => true);
    return this.feed.newest();
  }

  /** Stops, or goes on with, everything but retractions. */
  pause(isPaused: boolean): void {
    this.isPaused = isPaused;
    if (isPaused) return;
    const { topic, revised } = this.held;
    this.held.topic = undefined;
    if (topic) this.#topic(topic);
    for (const [id, entry] of revised) {
      revised.delete(id);
      this.#revised(entry);
    }
    this.schedule();
  }

  /** Lets new entries appear with the next frame, where they may. */
  schedule(): void {
    if (this.#isScheduled || this.#isArchive) return;
    this.#isScheduled = true;
    const run = (): void => {
      this.#isScheduled = false;
      if (this.#mayAppear()) void this.#flush(() => this.#mayAppear());
      else this.watcher.waitingChanged();
    };
    // A page that nobody sees has no frames, but a count in its title.
    if (document.hidden) setTimeout(run);
    else requestAnimationFrame(run);
  }

  /** Takes what is missing from a fresh page, which is no older than any change that was applied. */
  async renew(fresh: HTMLElement, articles: readonly HTMLElement[]): Promise<void> {
    this.#isUnsure = false;
    this.feed.count = Number(fresh.getAttribute('count') ?? this.feed.count);
    if (!this.isPaused) {
      keepPlace(this.feed.root, () => {
        if (this.#pins?.isUnsure) this.#pins.renew(part(fresh, 'pins'));
        if (this.#keys?.isUnsure) this.#keys.renew(part(fresh, 'events'));
      });
    }
    await this.merge(articles);
  }

  /** Takes in articles that another page of the blog has: those that are missing, and states that are newer. */
  async merge(articles: readonly HTMLElement[]): Promise<HTMLElement[]> {
    const fresh: HTMLElement[] = [];
    this.feed.isBusy = true;
    for (const [index, article] of articles.entries()) {
      localiseAll(article);
      const id = article.dataset['entry'] ?? '';
      const known = this.feed.get(id);
      keepPlace(this.feed.root, () => {
        if (!known) this.feed.insert(article);
        else if (isTombstone(article) || revisionOf(article) > revisionOf(known)) this.feed.renew(article);
      });
      if (!known) {
        fresh.push(article);
        if (this.held.fresh.delete(id)) this.watcher.waitingChanged();
      }
      if (index % AT_ONCE === AT_ONCE - 1) await breathe();
    }
    this.feed.isBusy = false;
    this.#showEmpty();
    return fresh;
  }

  #published(entry: Entry, offset: number): void {
    if (this.feed.get(entry.id) || this.held.fresh.has(entry.id)) return this.#revised(entry);
    this.watcher.arrived();
    if (this.#isArchive) {
      this.beyond += 1;
      this.#lists(entry);
      return this.watcher.waitingChanged();
    }
    this.feed.count += 1;
    this.held.add(entry, offset);
    this.schedule();
  }

  #revised(entry: Entry): void {
    if (entry.correction) this.watcher.corrected();
    if (this.held.revise(entry)) return;
    if (this.isPaused) {
      this.held.revised.set(entry.id, entry);
      return;
    }
    const old = this.feed.get(entry.id);
    // A tombstone is for ever, and what is not here belongs to another page.
    if (old && (isTombstone(old) || revisionOf(old) > entry.revision)) return;
    keepPlace(this.feed.root, () => {
      if (old) this.feed.renew(articleOf(this.place, entry, offsetOf(old)));
      this.#lists(entry);
    });
    if (old) this.watcher.shown('update', old, entry);
  }

  #retracted(gone: Tombstone): void {
    this.#pins?.remove(gone.id);
    this.#keys?.remove(gone.id);
    if (this.held.retract(gone)) return this.watcher.waitingChanged();
    const old = this.feed.get(gone.id);
    if (!old) return;
    keepPlace(this.feed.root, () => this.feed.renew(tombstoneOf(this.place, gone, offsetOf(old))));
    this.watcher.shown('retract', old, undefined);
  }

  /** A change whose body is gone. The retraction, with its reason, follows at its own place. */
  #redacted(gone: Tombstone): void {
    const isKnown = this.held.fresh.has(gone.id) || !!this.feed.get(gone.id);
    if (isKnown) this.#retracted(gone);
    // It may be the publication of an entry that was taken back before this page saw it: then its tombstone is missing.
    else if (!this.#isArchive) this.#isUnsure = true;
  }

  #topic(topic: Topic): void {
    keepPlace(this.feed.root, () => showTopic(this.root, this.place, topic));
    this.watcher.topicChanged(topic);
  }

  #lists(entry: Entry): void {
    this.#pins?.apply(entry);
    this.#keys?.apply(entry);
  }

  #mayAppear(): boolean {
    return !this.isPaused && !document.hidden && this.watcher.mayAppear();
  }

  /** One flush at a time: a few entries, a frame, and so on until nothing waits or `goesOn` says no. */
  async #flush(goesOn: () => boolean): Promise<void> {
    if (this.#flushing) await this.#flushing;
    this.#flushing = (async () => {
      this.feed.isBusy = true;
      // Whether it goes on is asked once for several: the answer takes a layout of all that is on the page.
      while (this.held.fresh.size && goesOn()) {
        keepPlace(this.feed.root, () => {
          for (let count = 0; count < AT_ONCE && this.held.fresh.size; count++) this.#insert(...this.held.take()!);
        });
        await breathe();
      }
      this.feed.isBusy = false;
      this.#showEmpty();
      this.watcher.waitingChanged();
    })();
    await this.#flushing;
    this.#flushing = undefined;
  }

  #insert(id: string, waiting: Waiting): void {
    if (this.feed.get(id)) return;
    const entry = 'entry' in waiting ? waiting.entry : undefined;
    const article = 'entry' in waiting
      ? articleOf(this.place, waiting.entry, waiting.offset)
      : tombstoneOf(this.place, waiting.gone, waiting.offset);
    if (!isCalm()) article.classList.add('fresh');
    this.feed.insert(article);
    if (entry) this.#lists(entry);
    this.watcher.shown('insert', article, entry);
  }

  #showUpdated(at: string): void {
    const time = part(this.root, 'updated')?.querySelector('time');
    if (!time || this.isPaused) return;
    time.dateTime = at;
    localise(time);
  }

  #showEmpty(): void {
    const empty = part(this.root, 'empty');
    if (empty) empty.hidden = this.feed.size > 0;
  }
}
