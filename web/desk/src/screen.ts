/** A topic's screen: its head, the composer, and the entries. Puts the parts together and takes them apart again. */
import type { Live } from 'tenbells';
import { BASE, topicPath } from './api.js';
import { Blog, isTombstone } from './blog.js';
import { Composer, fetchBase } from './composer.js';
import { openConflict } from './conflict.js';
import type { Context } from './context.js';
import { fetchDetails, openDetails, sendDetails } from './details.js';
import { button, fill, h } from './dom.js';
import { openEnding, reopen } from './ending.js';
import { Entries } from './entries.js';
import { patchOf, same, tidy, type EntryFields, type Json } from './fields.js';
import { Held } from './held.js';
import type { Draft } from './keep.js';
import { Others, type Colleague } from './others.js';
import type { Item as Sent } from './outbox.js';
import { OutboxView } from './outboxview.js';
import { inPlainWords } from './outcome.js';
import { adoptLeftBehind } from './takeover.js';
import { readersNow, statusPill } from './topics.js';

const STATES: Record<string, string> = {
  connecting: 'Connecting …',
  'catching-up': 'Catching up …',
  live: 'Up to date',
  ended: 'Up to date',
  offline: 'No connection: what stands here may be old',
  paused: 'Paused',
  closed: 'No longer following',
};

export class TopicScreen {
  readonly node = h('main', { class: 'topic' });
  readonly #head = h('header', { class: 'topic-head' });
  readonly #state = h('span', { class: 'connection', role: 'status' });
  readonly #readers = h('span', { class: 'readers' });
  readonly #here = h('p', { class: 'here' });
  readonly #outboxView: OutboxView;
  readonly #composer: Composer;
  readonly #entries: Entries;
  readonly #held: Held;
  readonly #others: Others;
  readonly #blog: Blog;
  readonly #over = new AbortController();
  /** The entry that is being fetched for the composer. */
  #asked: string | undefined;
  #following = 0;
  #desks = 1;

  /** Gets the topic. Throws what the call throws. */
  static async open(context: Context, topic: string): Promise<TopicScreen> {
    const screen = new TopicScreen(context, new Blog(await context.api.get(topicPath(topic))));
    try {
      await screen.#begin();
    } catch (error) {
      screen.close();
      throw error;
    }
    return screen;
  }

  private constructor(
    private readonly context: Context,
    blog: Blog & { topic: { readers?: number } },
  ) {
    this.#blog = blog;
    const { topic } = blog.topic;
    this.#following = blog.topic.readers ?? 0;
    this.#others = new Others(context, topic, (desks) => this.#hear(desks));
    this.#outboxView = new OutboxView(context, topic, {
      edit: (item) => void this.#editAgain(item),
      compare: (item) => void this.#compareSent(item),
    });
    this.#composer = new Composer(context, {
      topic,
      isEnded: () => this.#blog.topic.status === 'ended',
      editing: (entry) => {
        this.#others.editing(entry);
        // While this screen is put together there is nothing yet to compare it with.
        if (!this.#entries) return;
        this.#entries.setEdited(entry);
        this.#checkOvertaken();
      },
      compare: (draft) => void this.#compare(draft),
    }, this.#outboxView.node);
    // Before the entries hear of it: they ask whether the entry in hand is another by now.
    const unlisten = context.outbox.listen({
      changed: () => {},
      durable: ({ write }, { json }) => {
        if (write.topic !== topic) return;
        if (write.what === 'mark' && write.entry === this.#composer.entry && json.entry) {
          this.#composer.marked(json.entry.revision, JSON.parse(write.body ?? '{}'));
        }
        this.#checkOvertaken();
      },
    });
    this.#over.signal.addEventListener('abort', unlisten);
    this.#entries = new Entries(context, blog, {
      topic: () => this.#drawHead(),
      changed: () => this.#checkOvertaken(),
      published: () => void this.#held.refresh(),
      readers: (count) => {
        this.#following = count;
        this.#drawReaders();
      },
      state: (live) => this.#showState(live),
      edit: (entry) => void this.#revise(entry),
    });
    this.#held = new Held(context, topic, (entry) => void this.#revise(entry));
    this.#drawHead();
    fill(this.node, this.#head,
      h('div', { class: 'columns' }, this.#composer.node, h('div', { class: 'column' }, this.#held.node, this.#entries.node)));
  }

  async #begin(): Promise<void> {
    await this.#entries.open();
    this.#others.open();
    addEventListener('visibilitychange', () => {
      if (document.hidden) void this.#composer.drafts.save();
    }, { signal: this.#over.signal });
    addEventListener('pagehide', () => void this.#composer.drafts.save(), { signal: this.#over.signal });
    void adoptLeftBehind(this.context, this.#blog.topic.topic, this.#over.signal, (draft) => this.#composer.adopt(draft));
  }

  close(): void {
    this.#over.abort();
    void this.#composer.close();
    this.#entries.close();
    this.#held.close();
    this.#others.close();
    this.#outboxView.close();
  }

  #drawHead(): void {
    const { topic, title, status, visibility } = this.#blog.topic;
    document.title = `${title || topic} · Tenbells desk`;
    const page = `${BASE}/t/${encodeURIComponent(topic)}`;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['do'] : undefined;
    fill(this.#head,
      h('div', { class: 'topic-title' }, statusPill(status), h('h1', { dir: 'auto' }, title || topic),
        visibility === 'private' && h('span', { class: 'badge' }, 'Private')),
      h('div', { class: 'topic-facts' }, this.#readers, this.#state),
      h('div', { class: 'actions' },
        button('Entries', () => this.#entries.show(), { class: 'small only-narrow', 'data-do': 'entries' }),
        visibility === 'public' && h('a', { class: 'button small', href: page, target: '_blank', rel: 'noopener' }, 'See the page'),
        button('Details', () => void openDetails(this.context, topic), { class: 'small', 'data-do': 'details' }),
        status === 'live'
          ? button('End …', () => openEnding(this.context, topic), { class: 'small', 'data-do': 'end' })
          : button('Reopen', () => reopen(this.context, topic), { class: 'small', 'data-do': 'end' })),
      this.#here);
    if (focused) this.#head.querySelector<HTMLElement>(`[data-do="${focused}"]`)?.focus();
    this.#drawReaders();
  }

  /** Desks follow the topic like readers, and are none: they are taken off. */
  #drawReaders(): void {
    fill(this.#readers, readersNow(this.#following - this.#desks));
  }

  #showState({ state }: Live): void {
    this.#state.dataset['state'] = state;
    fill(this.#state, STATES[state] ?? state);
    if (state === 'live' || state === 'ended') this.context.outbox.wake();
  }

  #hear(desks: Colleague[]): void {
    this.#desks = Math.max(1, desks.length);
    this.#drawReaders();
    const others = desks.filter(({ own }) => !own);
    const words = others.map(({ name, entry }) => {
      const item = entry === undefined ? undefined : this.#blog.find(entry);
      const what = item && !isTombstone(item) ? item.headline ?? 'an entry' : 'an entry';
      return entry === undefined ? name : `${name} (editing “${what}”)`;
    });
    const text = words.length ? `Also here: ${words.join(', ')}` : '';
    if (this.#here.textContent !== text) fill(this.#here, text);
    const editors = new Map<string, string[]>();
    for (const { name, entry } of others) if (entry !== undefined) editors.set(entry, [...(editors.get(entry) ?? []), name]);
    this.#entries.setEditors(editors);
  }

  async #revise(entry: string): Promise<void> {
    this.#asked = entry;
    this.#composer.awaits();
    const base = await fetchBase(this.context, this.#blog.topic.topic, entry);
    // The one that was asked for last is meant.
    if (this.#asked !== entry) return;
    this.#asked = undefined;
    if (base) await this.#composer.revise(base);
    else this.#composer.goOn();
  }

  /** Tells the editor when the entry in hand is another by now, unless the desk itself is what changes it. */
  #checkOvertaken(): void {
    const { base } = this.#composer.drafts.current;
    const item = base && this.#blog.find(base.entry);
    if (!item) return;
    if (isTombstone(item)) return this.#composer.overtaken('retracted');
    const isOwn = this.context.outbox.items(this.#blog.topic.topic)
      .some(({ write, standing }) => write.entry === base.entry && ['waiting', 'sending', 'retrying'].includes(standing.is));
    if (item.revision > base.revision && !isOwn) this.#composer.overtaken('revised');
  }

  /** A refused or unconfirmed write goes back into the composer, under the id that it had. */
  async #editAgain(item: Sent): Promise<void> {
    const { draft, details } = item.write;
    await this.context.outbox.discard(item);
    if (draft) {
      await this.#composer.turnTo({ ...draft, owner: this.context.tab.id });
      if (item.standing.is === 'refused') this.#composer.refuse(item.standing.why, item.standing.problem.field);
    }
    if (details) await openDetails(this.context, item.write.topic, { ...details, revision: item.write.ifMatch ?? 0 });
  }

  async #compareSent(item: Sent): Promise<void> {
    const { draft, details } = item.write;
    if (details) return this.#compareDetails(item, details);
    if (!draft) return;
    await this.#compare(draft, () => this.context.outbox.discard(item));
  }

  /** Shows a revision beside what stands now. `settle` forgets the write that it came from, once there is a choice. */
  async #compare(draft: Draft, settle: () => Promise<void> = async () => {}): Promise<void> {
    const entry = draft.base?.entry ?? draft.id;
    const now = await fetchBase(this.context, this.#blog.topic.topic, entry);
    if (!now) return;
    const theirs = tidy(now.fields) as Json;
    // What was published by an earlier attempt of the same draft has no base: all that differs is mine.
    const base = (draft.base ? tidy(draft.base.fields) : now.fields) as Json;
    const mine = tidy(draft.fields) as Json;
    if (!draft.base) mine['id'] = theirs['id'];
    openConflict({ base: tidy(base) as Json, theirs, mine, revision: now.revision }, {
      save: (fields) => void settle().then(async () => {
        await this.#composer.turnTo(this.#revisionOf(draft, now, fields));
        if (!same(tidy(fields), theirs)) await this.#composer.publish();
        else await this.#composer.dropCurrent();
      }),
      goOn: (fields) => void settle().then(() => this.#composer.turnTo(this.#revisionOf(draft, now, fields))),
      drop: () => void settle().then(() => this.#composer.dropOne(draft)),
    });
  }

  #revisionOf(draft: Draft, base: NonNullable<Draft['base']>, fields: EntryFields): Draft {
    return { ...draft, id: draft.base ? draft.id : this.#composer.drafts.blank().id, owner: this.context.tab.id, base, fields, updatedAt: Date.now() };
  }

  async #compareDetails(item: Sent, { base, mine }: { base: Json; mine: Json }): Promise<void> {
    const { topic } = this.#blog.topic;
    try {
      const { fields: theirs, revision } = await fetchDetails(this.context, topic);
      openConflict({ base, theirs, mine, revision }, {
        save: (fields) => void this.context.outbox.discard(item).then(() => {
          if (Object.keys(patchOf(theirs, fields)).length) sendDetails(this.context, topic, { base: theirs, mine: fields, revision });
        }),
        goOn: (fields) => void this.context.outbox.discard(item).then(() => openDetails(this.context, topic, { base: theirs, mine: fields, revision })),
        drop: () => void this.context.outbox.discard(item),
      });
    } catch (error) {
      this.context.complain(inPlainWords(error));
    }
  }
}
