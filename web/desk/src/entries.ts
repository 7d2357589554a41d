/**
 * The desk's list of a topic's entries, which follows the topic: snapshot first, then every change by the client library,
 * and the answers to its own writes as soon as they are there.
 */
import { connect, type Change, type Entry, type Live } from 'tenbells';
import { BASE, entryPath, topicPath } from './api.js';
import { Blog, isTombstone, type Item } from './blog.js';
import { card, type CardActions } from './card.js';
import type { Context } from './context.js';
import { button, fill, freshId, h, replaceKeepingFocus } from './dom.js';
import { inPlainWords, retryDelay } from './outcome.js';
import type { Item as Sent } from './outbox.js';

/** Entries of a page. */
const PAGE = 50;

const PENDING: Record<string, string> = { retract: 'Retracting …', revise: 'Saving …', mark: 'Saving …' };

export interface EntriesEvents {
  /** The topic's own fields are others now. */
  topic(): void;
  /** An entry was revised or retracted: by whomever. */
  changed(entry: string, how: 'revised' | 'retracted', revision: number): void;
  /** An entry was published: one under embargo may be free. */
  published(): void;
  readers(count: number): void;
  state(live: Live): void;
  edit(entry: string): void;
}

type Filter = 'all' | 'key' | 'pinned';

export class Entries {
  readonly #title = h('h2', { id: freshId('entries'), tabIndex: -1 }, 'Entries');
  readonly #filters = h('div', { class: 'filters', role: 'group', 'aria-label': 'Which entries' });
  readonly #list = h('ul', { class: 'cards' });
  readonly #more = button('Load older', () => void this.#loadOlder(), { hidden: true });
  readonly #empty = h('p', { class: 'hint' });
  readonly node = h('section', { class: 'entries', 'aria-labelledby': this.#title.id },
    h('div', { class: 'entries-head' }, this.#title, this.#filters), this.#empty, this.#list, this.#more);
  readonly #cards = new Map<string, HTMLElement>();
  #filter: Filter = 'all';
  #live: Live | undefined;
  #isClosed = false;
  /** Who edits which entry, by its id. */
  #editors = new Map<string, string[]>();
  #edited: string | undefined;
  readonly #unlisten: () => void;

  constructor(
    private readonly context: Context,
    private readonly blog: Blog,
    private readonly events: EntriesEvents,
  ) {
    this.#showFilters();
    this.#unlisten = context.outbox.listen({
      changed: ({ write }) => {
        if (write.topic === this.#topic && write.entry) this.#draw(write.entry);
      },
      durable: (item, { json }) => {
        if (item.write.topic === this.#topic) this.#takeAnswer(item, json);
      },
    });
  }

  get #topic(): string {
    return this.blog.topic.topic;
  }

  /** Takes a snapshot and follows from there. Throws what the first call throws. */
  async open(): Promise<void> {
    const position = await this.#snapshot();
    if (this.#isClosed) return;
    const live = connect({ url: location.origin + BASE, topic: this.#topic, after: position, token: this.context.api.key, share: false, storage: false });
    this.#live = live;
    live.on('change', (change) => this.#take(change));
    live.on('reset', () => void this.#resnapshot(0));
    live.on('presence', ({ readers }) => this.events.readers(readers));
    live.on('state', () => this.events.state(live));
    live.on('error', ({ fatal, message }) => {
      if (fatal) this.context.complain(`This page no longer follows the blog: ${message}`);
    });
    this.events.state(live);
  }

  close(): void {
    this.#isClosed = true;
    this.#live?.close();
    this.#unlisten();
  }

  /** Who else edits which entry, and which one is in this desk's composer. */
  setEditors(editors: Map<string, string[]>): void {
    const touched = new Set([...this.#editors.keys(), ...editors.keys()]);
    const before = this.#editors;
    this.#editors = editors;
    for (const id of touched) if (String(before.get(id)) !== String(editors.get(id))) this.#draw(id);
  }

  setEdited(entry: string | undefined): void {
    const before = this.#edited;
    this.#edited = entry;
    for (const id of [before, entry]) if (id !== undefined) this.#draw(id);
  }

  /** Moves to the list: on a narrow page it is below the composer. */
  show(): void {
    this.#title.scrollIntoView();
    this.#title.focus({ preventScroll: true });
  }

  async #snapshot(): Promise<string> {
    const snapshot = await this.context.api.get(topicPath(this.#topic, `/entries?limit=${PAGE}`));
    this.blog.begin(snapshot);
    this.#drawAll();
    return snapshot.position;
  }

  /** After a reset. Changes from then on are applied meanwhile, and lost on nothing: the snapshot is newer. */
  async #resnapshot(attempts: number): Promise<void> {
    this.blog.forgetTopic();
    try {
      const position = await this.#snapshot();
      this.blog.setTopic(await this.context.api.get(topicPath(this.#topic)));
      this.events.topic();
      // What is under embargo may be another by now.
      this.events.published();
      this.#live?.subscribe(this.#topic, position);
    } catch {
      setTimeout(() => {
        if (!this.#isClosed) void this.#resnapshot(attempts + 1);
      }, retryDelay(attempts));
    }
  }

  async #loadOlder(): Promise<void> {
    this.#more.disabled = true;
    try {
      const older = await this.context.api.get(topicPath(this.#topic, `/entries?limit=${PAGE}&before=${this.blog.next}`));
      this.blog.addOlder(older);
      this.#drawAll();
    } catch (error) {
      this.context.complain(inPlainWords(error));
    } finally {
      this.#more.disabled = false;
    }
  }

  #take(change: Change): void {
    const what = this.blog.apply(change);
    if (change.kind === 'entry.published') this.events.published();
    if (what === 'topic') this.events.topic();
    else if (what !== undefined) this.#changed(what);
  }

  #takeAnswer({ write }: Sent, json: any): void {
    if (json.topic && this.blog.setTopic(json.topic)) return this.events.topic();
    if (json.tombstone && json.position && this.blog.retract(json.tombstone)) return this.#changed(json.tombstone.id);
    if (!json.entry || !json.position) return;
    // Only what is new in the list has a place by its offset; a revision stays where its entry is.
    const isNew = ['publish', 'release', 'move'].includes(write.what);
    const offset = isNew ? Number(String(json.position).split('-').pop()) : undefined;
    if (this.blog.take(json.entry, offset)) this.#changed(json.entry.id);
  }

  #changed(id: string): void {
    this.#draw(id);
    const item = this.blog.find(id);
    if (!item) return;
    if (isTombstone(item)) this.events.changed(id, 'retracted', 0);
    else if (item.revision > 1) this.events.changed(id, 'revised', item.revision);
  }

  #shown(): readonly Item[] {
    const { items } = this.blog;
    if (this.#filter === 'all') return items;
    return items.filter((item) => !isTombstone(item) && (this.#filter === 'key' ? item.key_event : item.pinned));
  }

  #drawAll(): void {
    this.#cards.clear();
    fill(this.#list);
    for (const item of this.#shown()) {
      const node = this.#card(item);
      this.#cards.set(item.id, node);
      this.#list.append(node);
    }
    this.#showEnds();
  }

  /** Draws one card anew, where it belongs; its neighbours stay as they are. */
  #draw(id: string): void {
    const items = this.#shown();
    const index = items.findIndex((item) => item.id === id);
    const old = this.#cards.get(id);
    if (index < 0) {
      old?.remove();
      this.#cards.delete(id);
      return this.#showEnds();
    }
    const reason = old?.querySelector<HTMLInputElement>('[data-do="reason"]')?.value;
    const focused = document.activeElement;
    const hadFocus = old?.contains(focused);
    const node = this.#card(items[index]!);
    this.#cards.set(id, node);
    if (old) replaceKeepingFocus(old, node);
    else {
      const next = items.slice(index + 1).map((item) => this.#cards.get(item.id)).find(Boolean);
      if (next) next.before(node);
      else this.#list.append(node);
    }
    // A reason that is being typed is not swept away by a change of something else.
    if (reason !== undefined && !this.#pending(id)) {
      node.querySelector<HTMLElement>('[data-do="retract"]')?.click();
      const input = node.querySelector<HTMLInputElement>('[data-do="reason"]');
      if (input) input.value = reason;
      if (!hadFocus && focused instanceof HTMLElement) focused.focus();
    }
    this.#showEnds();
  }

  #card(item: Item): HTMLElement {
    const href = `${BASE}/t/${encodeURIComponent(this.#topic)}#e-${encodeURIComponent(item.id)}`;
    const state = { pending: this.#pending(item.id), others: this.#editors.get(item.id) ?? [], isEdited: this.#edited === item.id, href };
    return card(item, state, this.#actions);
  }

  #pending(id: string): string | undefined {
    const sent = this.context.outbox.items(this.#topic)
      .find(({ write, standing }) => write.entry === id && ['waiting', 'sending', 'retrying'].includes(standing.is));
    return sent && PENDING[sent.write.what];
  }

  readonly #actions: CardActions = {
    edit: ({ id }) => this.events.edit(id),
    mark: (entry, marks) => this.#mark(entry, marks, true),
    retract: ({ id, headline }, reason) => {
      void this.context.outbox.add({
        topic: this.#topic, what: 'retract', label: headline ?? '', entry: id, method: 'DELETE', path: entryPath(this.#topic, id),
        body: reason ? JSON.stringify({ reason }) : undefined,
      });
    },
  };

  /** A mark is one field, so it goes without `If-Match`: it takes nobody's revision away. */
  #mark({ id, headline }: Entry, marks: { pinned?: boolean; key_event?: boolean }, canUndo: boolean): void {
    const [[name, isOn] = []] = Object.entries(marks) as [string, boolean][];
    const words = name === 'pinned' ? (isOn ? 'Pinned' : 'No longer pinned') : isOn ? 'Marked as key event' : 'No longer a key event';
    void this.context.outbox.add({
      topic: this.#topic, what: 'mark', label: `${words}${headline ? `: ${headline}` : ''}`, entry: id, method: 'PATCH', path: entryPath(this.#topic, id),
      body: JSON.stringify(marks),
    });
    if (!canUndo) return;
    const entry = this.blog.find(id);
    const undone = name === 'pinned' ? { pinned: !isOn } : { key_event: !isOn };
    if (entry && !isTombstone(entry)) this.context.offerUndo(`${words}.`, () => this.#mark(entry, undone, false));
  }

  #showFilters(): void {
    const each: [Filter, string][] = [['all', 'All'], ['key', 'Key events'], ['pinned', 'Pinned']];
    fill(this.#filters, ...each.map(([filter, words]) => button(words, () => {
      this.#filter = filter;
      this.#showFilters();
      this.#filters.querySelector<HTMLElement>(`[data-do="${filter}"]`)?.focus();
      this.#drawAll();
    }, { class: 'small toggle', 'aria-pressed': String(filter === this.#filter), 'data-do': filter })));
  }

  #showEnds(): void {
    this.#more.hidden = this.blog.next === null;
    const isEmpty = this.#list.childElementCount === 0;
    this.#empty.hidden = !isEmpty;
    const rest = this.blog.next === null ? '' : ' among those that are loaded';
    fill(this.#empty, this.#filter === 'all' ? 'No entries yet. The first one you publish goes live at once.' : `None${rest}.`);
  }
}
