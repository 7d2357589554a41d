/**
 * `<live-blog>`: a live blog that the server has rendered, made live. It follows the topic from the position that the page
 * is true at, shows what the connection really is, and leaves what the reader reads where it is.
 *
 * Attributes: `topic`, `position`, `status`, `order`, `count`, `first` (as the server writes them); `src`, the broker, where
 * it isn't the page's own origin; `archive` on a page of older entries; `page` where the element is what the page is about,
 * so that it may set the title and answer the address; `entry` where it is of one entry alone. Events, which bubble:
 * `live-blog-ready`, `live-blog-insert`, `live-blog-update`,
 * `live-blog-retract`, `live-blog-state`, `live-blog-topic`.
 */
import { connect, type Away, type Live, type State, type Topic } from 'tenbells';
import { Announcer } from './announce.js';
import type { Place } from './article.js';
import { Blog, type Watcher } from './blog.js';
import { chromeOf, type Chrome } from './chrome.js';
import { part } from './dom.js';
import { Absence } from './absence.js';
import { More } from './more.js';
import { articlesOf, fetchBlog } from './fetch.js';
import { Jumps } from './jumps.js';
import { goTo, isAtEdge } from './scroll.js';
import { clockOf, keepRelative } from './times.js';
import { handover, titleOf } from './topic.js';
import { connection, newUpdates, readers, useWords, whileAway, words } from './words.js';

/** How long a first connection may take before the page says so, in ms. */
const PATIENCE = 4000;
/** How long to wait before an empty element is filled again, at first and at most, in ms. */
const FILL_AGAIN = 2000;
const FILL_AGAIN_MAX = 60_000;

const isComplete = (state: State): boolean => state === 'live' || state === 'ended';

export class LiveBlog extends HTMLElement {
  #live: Live | undefined;
  #blog: Blog | undefined;
  #chrome: Chrome | undefined;
  #announcer: Announcer | undefined;
  #more: More | undefined;
  #over: AbortController | undefined;
  #stopTimes: (() => void) | undefined;
  #status: 'live' | 'ended' = 'live';
  #title = '';
  /** When nothing was missing last, as a clock time; none before a connection was lost. */
  #asOf: string | undefined;
  #wasConnected = false;
  #isAsking = false;
  #isPatient = true;
  readonly #absence = new Absence((away) => this.#welcome(away));

  connectedCallback(): void {
    if (this.#over) return;
    const topic = this.getAttribute('topic');
    if (!topic) throw new Error('<live-blog> has no topic');
    this.#over = new AbortController();
    // The children of an element that the parser is still at are not all there yet.
    if (document.readyState === 'loading') {
      document.addEventListener('DOMContentLoaded', () => void this.#begin(topic), { once: true, signal: this.#over.signal });
    } else void this.#begin(topic);
  }

  disconnectedCallback(): void {
    this.#over?.abort();
    this.#over = undefined;
    this.#live?.close();
    this.#announcer?.stop();
    this.#stopTimes?.();
  }

  /** What the connection is. */
  get state(): State {
    return this.#live?.state ?? 'connecting';
  }

  /** Takes in entries that the page has put into the feed by itself. */
  refresh(): void {
    this.#blog?.feed.adopt();
  }

  get #place(): Place {
    return { base: (this.getAttribute('src') ?? '').replace(/\/+$/, ''), topic: this.getAttribute('topic') ?? '' };
  }

  get #url(): string {
    return `${this.#place.base}/t/${this.#place.topic}`;
  }

  /** Where what is in the element comes from: the page itself, or what is made for pages elsewhere. */
  get #source(): string {
    if (this.hasAttribute('page')) return this.#url;
    const { entry } = this;
    return `${this.#url}/fragment${entry ? `?entry=${encodeURIComponent(entry)}` : ''}`;
  }

  /** The one entry that the element is of; none for a whole blog. */
  get entry(): string | null {
    return this.getAttribute('entry');
  }

  async #begin(topic: string): Promise<void> {
    readWords(this);
    if (!this.getAttribute('position') && !(await this.#filled())) return;
    if (!this.#over) return;
    this.#status = this.getAttribute('status') === 'ended' ? 'ended' : 'live';
    this.#chrome = chromeOf(this);
    this.#announcer = new Announcer(this.#chrome.region);
    this.#title = part(this, 'title')?.textContent ?? document.title;
    this.#read();
    this.#showPause();
    this.#listen();
    this.#connect(topic);
    this.#dispatch('ready', { articles: [...this.querySelectorAll('[data-entry]')] });
  }

  /** Fills the empty element, if need be by trying again. What stood in it stays where that is in vain. */
  async #filled(): Promise<boolean> {
    for (let wait = FILL_AGAIN; this.#over; wait *= 2) {
      try {
        await this.#fill();
        return true;
      } catch {
        if (wait > FILL_AGAIN_MAX) break;
        await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random())));
      }
    }
    this.#dispatch('state', { state: 'closed' });
    return false;
  }

  /** Reads what is in the element now. */
  #read(): void {
    this.#blog = new Blog(this, this.#place, this.#watcher());
    this.#more = new More(this, this.#blog, () => this.#live?.position(this.#place.topic), (note) => this.#announcer?.tell(note));
    this.#stopTimes?.();
    this.#stopTimes = keepRelative(this);
    this.#showOrder();
    this.#showWaiting();
  }

  #connect(topic: string): void {
    const { base } = this.#place;
    const live = connect({
      topic,
      after: this.getAttribute('position')!,
      storage: false,
      ...(base ? { url: base } : {}),
    });
    this.#live = live;
    live.on('change', (change) => {
      if (this.entry && (change.entry?.id ?? change.id) !== this.entry) return;
      this.#absence.count(change);
      this.#blog!.apply(change);
      this.#ask();
    });
    live.on('state', ({ state, previous }) => this.#onState(state, previous));
    live.on('away', (away) => this.#welcome(away));
    live.on('presence', ({ readers: count }) => {
      const place = part(this, 'readers');
      if (place) place.textContent = readers(count);
    });
    live.on('reset', () => void this.#startOver());
    setTimeout(() => {
      this.#isPatient = false;
      this.#showConnection();
    }, PATIENCE);
    this.#showConnection();
  }

  #watcher(): Watcher {
    const tell = (note: string): void => this.#announcer?.tell(note);
    return {
      shown: (kind, article, entry) => this.#dispatch(kind, { article, entry, id: article.dataset['entry'] }),
      topicChanged: (topic) => this.#onTopic(topic),
      waitingChanged: () => this.#showWaiting(),
      mayAppear: () => isAtEdge(this.#blog!.feed.root, this.#blog!.feed.order, this.#chrome!.bar.getBoundingClientRect().bottom),
      corrected: () => tell(words.toldCorrected),
      retracted: () => tell(words.toldRetracted),
      arrived: () => this.#announcer?.count(),
    };
  }

  #listen(): void {
    const { signal } = this.#over!;
    const { updates, order, pause } = this.#chrome!;
    updates.addEventListener('click', () => void this.#showAll());
    order.addEventListener('click', () => this.#turn());
    pause.addEventListener('click', () => this.#pause(!this.#blog!.isPaused));
    const look = (): void => this.#blog?.schedule();
    // Whoever comes back to the top sees what waits there.
    // Whatever scrolls: the page, or a box that the blog stands in.
    window.addEventListener('scroll', () => this.#blog!.held.fresh.size && look(), { passive: true, capture: true, signal });
    this.addEventListener('focusout', () => this.#blog!.held.fresh.size && setTimeout(look), { signal });
    document.addEventListener('visibilitychange', () => {
      this.#absence.seen(document.hidden);
      if (!document.hidden) look();
    }, { signal });
    new Jumps(this, (id) => this.#blog?.feed.get(id), () => this.#blog!.flush(), signal);
  }

  #onState(state: State, previous: State): void {
    if (isComplete(state)) {
      this.#wasConnected = true;
      this.#ask();
    } else if (isComplete(previous)) this.#asOf = clockOf(Date.now());
    this.#showConnection();
    this.#dispatch('state', { state });
  }

  #showConnection(): void {
    const { state } = this;
    // An ended topic that has not said so again since: what is followed from its last change on tells nothing.
    const shown: State = state === 'live' && this.#status === 'ended' ? 'ended' : state;
    const { isPaused } = this.#blog!;
    const text = connection(shown, isPaused, this.#asOf);
    const { connection: line } = this.#chrome!;
    line.textContent = text;
    line.setAttribute('part', `connection is-${isPaused && isComplete(state) ? 'paused' : shown}`);
    const badge = part(this, 'state');
    if (badge && (this.#wasConnected || !this.#isPatient)) {
      badge.textContent = text;
      badge.dataset['state'] = isPaused || !isComplete(shown) ? 'waiting' : shown;
    }
    const count = part(this, 'readers');
    if (count && this.#wasConnected && !isComplete(state)) count.textContent = '';
  }

  #showWaiting(): void {
    const { updates } = this.#chrome!;
    const { held, beyond } = this.#blog!;
    const count = held.count + beyond;
    updates.hidden = count === 0;
    updates.textContent = newUpdates(count);
    if (this.hasAttribute('page')) document.title = (count ? `(${count}) ` : '') + this.#title;
  }

  #showOrder(): void {
    const { order } = this.#chrome!;
    const isNewest = this.#blog!.feed.order === 'newest';
    order.textContent = isNewest ? words.oldestFirst : words.newestFirst;
    this.setAttribute('order', this.#blog!.feed.order);
  }

  async #showAll(): Promise<void> {
    if (this.#blog!.beyond) return location.assign(this.#url);
    this.#blog!.pause(false);
    this.#showPause();
    const newest = await this.#blog!.flush();
    if (!newest) return;
    newest.focus({ preventScroll: true });
    goTo(newest);
  }

  #turn(): void {
    const { feed } = this.#blog!;
    const other = feed.order === 'newest' ? 'oldest' : 'newest';
    // What isn't on the page can't be turned: the server has a page in the other order.
    if (this.#more!.hasNewer && this.hasAttribute('page')) return location.assign(`${this.#url}?order=${other}`);
    feed.turn();
    this.#more!.turn();
    this.#showOrder();
    this.#announcer?.tell(feed.order === 'newest' ? words.newestFirst : words.oldestFirst);
  }

  #pause(isPaused: boolean): void {
    this.#blog!.pause(isPaused);
    this.#ask();
    this.#showPause();
  }

  #showPause(): void {
    const { isPaused } = this.#blog!;
    this.#chrome!.pause.textContent = isPaused ? words.resume : words.pause;
    this.#showConnection();
  }

  #onTopic(topic: Topic): void {
    const had = this.#status;
    this.#status = topic.status;
    this.#title = titleOf(topic);
    if (topic.status !== had) {
      const said = topic.status === 'ended' ? handover(this.#place, topic) : words.reopened;
      this.#chrome!.notice(said);
      this.#announcer?.tell(typeof said === 'string' ? said : (said.textContent ?? ''));
    }
    this.setAttribute('status', topic.status);
    this.#showConnection();
    this.#showWaiting();
    this.#dispatch('topic', { topic });
  }

  #welcome(away: Pick<Away, 'entries' | 'key' | 'corrections' | 'retractions'>): void {
    const text = whileAway(away);
    if (!text || !this.#chrome) return;
    this.#chrome.notice(text);
    this.#announcer?.tell(text);
  }

  #ask(): void {
    if (this.#blog!.isUnsure && isComplete(this.state)) void this.#reconcile();
  }

  /** The page has a change in it that it can't place alone: takes what is missing from a fresh page. */
  async #reconcile(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      const fresh = await fetchBlog(this.#source, () => this.#live?.position(this.#place.topic));
      await this.#blog!.renew(fresh, articlesOf(fresh));
    } catch {
      // Tried again with the next change or connection.
    }
    this.#isAsking = false;
  }

  /** The numbering began anew: drops everything, and shows a fresh page. Changes go on behind it. */
  async #startOver(): Promise<void> {
    this.#blog!.held.clear();
    try {
      await this.#fill();
    } catch {
      // Nobody else's page is loaded anew.
      if (this.hasAttribute('page')) location.reload();
      return;
    }
    this.#read();
  }

  /** Takes everything from the broker's own page. */
  async #fill(): Promise<void> {
    const fresh = await fetchBlog(this.#source, () => this.#live?.position(this.#place.topic));
    for (const { name, value } of fresh.attributes) if (!['id', 'page', 'src'].includes(name)) this.setAttribute(name, value);
    this.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
  }

  #dispatch(what: string, detail: object): void {
    this.dispatchEvent(new CustomEvent(`live-blog-${what}`, { bubbles: true, composed: true, detail }));
  }
}

/** The newsroom's own words, where it gives some: in the element, or for all elements of the page. */
function readWords(element: HTMLElement): void {
  const given = part(element, 'words') ?? part(document, 'words');
  if (!given) return;
  try {
    const language = element.closest<HTMLElement>('[lang]')?.lang ?? '';
    const unused = useWords(JSON.parse(given.textContent ?? ''), language);
    if (unused.length) console.warn(`<live-blog>: words that it doesn't use: ${unused.join(', ')}`);
  } catch (error) {
    console.warn('<live-blog>: its words are no JSON:', error);
  }
}
