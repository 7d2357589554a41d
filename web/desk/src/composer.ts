/**
 * Where entries are written: a new one, or a revision. Shows a preview beside it and what became of the last writes below
 * the button. What happens to a draft is decided in drafts.ts, what happens to a write in outbox.ts.
 */
import { entryPath, topicPath } from './api.js';
import type { Context } from './context.js';
import { button, fill, freshId, h } from './dom.js';
import { Drafts } from './drafts.js';
import { inWords, patchOf, saysSomething, tidy, type EntryFields } from './fields.js';
import { EntryForm } from './form.js';
import type { Base, Draft } from './keep.js';
import { inPlainWords } from './outcome.js';
import { Preview } from './preview.js';
import { rememberByline } from './seat.js';
import { clock, clockWithSeconds } from './times.js';

const SHORTCUT = /mac|iphone|ipad/i.test(navigator.userAgent) ? '⌘ Enter' : 'Ctrl + Enter';

/** What the composer needs of the topic's screen. */
export interface Around {
  topic: string;
  /** Whether new entries are taken. */
  isEnded(): boolean;
  /** Another entry is being edited now, or none. */
  editing(entry: string | undefined): void;
  /** Shows how somebody else's revision and this one differ. */
  compare(draft: Draft): void;
}

export class Composer {
  readonly node: HTMLElement;
  readonly drafts: Drafts;
  readonly #title = h('h2', { id: freshId('composer') });
  readonly #notice = h('div', { class: 'notices' });
  readonly #form = h('div');
  readonly #send = h('button', { type: 'submit', class: 'primary', 'data-do': 'publish' });
  readonly #cancel = button('Cancel', () => void this.#giveUp());
  readonly #kept = h('p', { class: 'hint kept' });
  readonly #error = h('p', { class: 'error', role: 'alert' });
  readonly #others = h('div', { class: 'others' });
  readonly #preview: Preview;
  #fields!: EntryForm;

  constructor(
    private readonly context: Context,
    private readonly around: Around,
    outbox: HTMLElement,
  ) {
    this.#preview = new Preview(context);
    this.drafts = new Drafts(context, around.topic, (keptAt, failure) => this.#showKept(keptAt, failure));
    const hint = h('p', { class: 'hint shortcut' }, h('kbd', {}, SHORTCUT));
    const form = h('form', {
      class: 'composer-form',
      'aria-labelledby': this.#title.id,
      novalidate: true,
      onsubmit: (event: Event) => {
        event.preventDefault();
        void this.publish();
      },
      onkeydown: (event: KeyboardEvent) => this.#onKey(event),
    },
    this.#form, this.#error, h('div', { class: 'send' }, this.#send, this.#cancel, hint, this.#kept));
    this.node = h('section', { class: 'composer', 'aria-labelledby': this.#title.id },
      this.#title, this.#notice, form, this.#others, outbox, this.#preview.node);
    this.#show();
  }

  /** The entry that is being revised. */
  get entry(): string | undefined {
    return this.drafts.current.base?.entry;
  }

  /** Takes a draft into hand. */
  async turnTo(draft: Draft, notice?: string): Promise<void> {
    await this.drafts.turnTo(draft);
    this.#show(notice);
    this.focus('body');
  }

  /** A draft that was left behind: into hand where there is nothing in it, else it waits. */
  adopt(draft: Draft): void {
    this.drafts.add(draft);
    const waits = this.drafts.others[0];
    if (!this.drafts.isPristine() || !waits) return this.#showOthers();
    void this.drafts.turnTo(waits).then(() => this.#show(`Your draft of ${clock(waits.updatedAt)} is back.`));
  }

  /** Begins a revision of an entry as it is now; goes on with one that was begun. */
  async revise(base: Base): Promise<void> {
    const begun = this.drafts.of(base.entry);
    const notice = begun && `Your changes of ${clock(begun.updatedAt)} are back.`;
    await this.turnTo(begun ?? this.drafts.revision(base), notice);
  }

  /** Takes the form away while an entry is on its way: what is typed meanwhile would land in another one. */
  awaits(): void {
    fill(this.#form, h('p', { class: 'hint', role: 'status' }, 'Opening the entry …'));
    this.#send.disabled = true;
  }

  /** The entry did not come: goes on with what was in hand. */
  goOn(): void {
    this.#show();
  }

  focus(field: 'headline' | 'body'): void {
    this.#fields.focus(field);
    this.node.scrollIntoView({ block: 'nearest' });
  }

  /** Somebody has revised the entry that is being edited, or taken it back. */
  overtaken(how: 'revised' | 'retracted'): void {
    const draft = this.drafts.current;
    if (how === 'revised') {
      this.#notify('This entry was revised meanwhile.', button('See both', () => this.around.compare(this.drafts.current), { class: 'small' }));
    } else {
      this.#notify('This entry was retracted meanwhile. What you wrote is still here.', button('Make it a new entry', () => {
        const { base: _, ...rest } = draft;
        const { id: __, correction: ___, published_at: ____, released_at: _____, ...fields } = this.drafts.current.fields;
        void this.drafts.drop(draft).then(() => {
          this.drafts.current = { ...rest, ...this.drafts.blank(), fields };
          this.#show();
        });
      }, { class: 'small' }));
    }
  }

  /** The editor's own mark on the entry in hand (pin, key): no change by somebody else. */
  marked(revision: number, marks: { pinned?: boolean; key_event?: boolean }): void {
    const draft = this.drafts.current;
    if (!draft.base || revision !== draft.base.revision + 1) return;
    const base = { ...draft.base, revision, fields: { ...draft.base.fields, ...marks } };
    this.#fields.mark(marks);
    this.drafts.current = { ...draft, base };
    this.#onInput();
  }

  /** Sends what is in hand, and makes room for the next one. */
  async publish(): Promise<void> {
    if (this.#send.disabled) return;
    this.drafts.write(this.#fields.read());
    const draft = this.drafts.current;
    const problem = this.#whyNot(draft);
    fill(this.#error, problem);
    if (problem) return;
    const wasIn = document.activeElement?.getAttribute('data-field') === 'headline' ? 'headline' : 'body';
    const fields = tidy(draft.fields);
    rememberByline(fields.authors ?? []);
    await this.context.outbox.add(draft.base ? this.#revision(draft, draft.base, fields) : this.#publication(draft, fields), draft.id);
    this.drafts.next();
    this.#show();
    this.#fields.focus(wasIn);
  }

  /** Says why the broker didn't take what is in hand, and opens the place where that is mended. */
  refuse(why: string, field: string | undefined): void {
    fill(this.#error, why);
    if (field) this.#fields.unfold(field);
  }

  /** Forgets what is in hand. */
  async dropCurrent(): Promise<void> {
    await this.drafts.drop(this.drafts.current);
    this.drafts.next();
    this.#show();
  }

  /** Forgets a draft, in hand or waiting. */
  async dropOne(draft: Draft): Promise<void> {
    if (draft.id === this.drafts.current.id) return this.dropCurrent();
    await this.drafts.drop(draft);
    this.#showOthers();
  }

  async close(): Promise<void> {
    this.#preview.close();
    await this.drafts.save();
  }

  /** Why what is in hand can't be sent. */
  #whyNot(draft: Draft): string | undefined {
    if (!saysSomething(draft.fields)) return 'Write a headline or a text first.';
    if (draft.base && this.drafts.isPristine(draft)) return 'Nothing is changed yet.';
    if (!draft.base && this.around.isEnded()) return 'The blog has ended. Reopen it to publish.';
    const embargo = this.#fields.embargo;
    const isSet = draft.fields.released_at !== undefined && (!draft.base || draft.base.held);
    if (isSet && embargo !== undefined && embargo <= Date.now()) return 'The embargo’s time has passed. Choose a later one, or take it away.';
    return undefined;
  }

  #publication(draft: Draft, fields: EntryFields) {
    const { topic } = this.around;
    return {
      topic,
      what: 'publish' as const,
      label: inWords(fields),
      entry: draft.id,
      method: 'POST',
      path: topicPath(topic, '/entries'),
      body: JSON.stringify({ ...fields, id: draft.id }),
      draft,
      releasedAt: fields.released_at,
    };
  }

  #revision(draft: Draft, base: Base, fields: EntryFields) {
    const { topic } = this.around;
    return {
      topic,
      what: 'revise' as const,
      label: inWords(fields),
      entry: base.entry,
      method: 'PATCH',
      path: entryPath(topic, base.entry),
      body: JSON.stringify(patchOf(tidy(base.fields), fields)),
      ifMatch: base.revision,
      draft,
      releasedAt: base.held ? fields.released_at : undefined,
    };
  }

  async #giveUp(): Promise<void> {
    const draft = this.drafts.current;
    await this.dropCurrent();
    if (this.drafts.isPristine(draft)) return;
    this.context.offerUndo(draft.base ? 'Your changes were dropped.' : 'The draft was dropped.', () => void this.turnTo(draft));
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void this.publish();
    } else if (event.key === 'Enter' && event.target instanceof HTMLInputElement) {
      // Enter in a line would publish by accident.
      event.preventDefault();
    }
  }

  #onInput(): void {
    this.drafts.write(this.#fields.read());
    fill(this.#error);
    this.#refresh();
  }

  /** Builds the form anew for the draft in hand. */
  #show(notice?: string): void {
    const draft = this.drafts.current;
    const purpose = draft.base ? (draft.base.held ? 'held' : 'revision') : 'new';
    this.#fields = new EntryForm(draft.fields, purpose, () => this.#onInput());
    fill(this.#form, this.#fields.node);
    this.#send.disabled = false;
    fill(this.#title, purpose === 'new' ? 'New entry' : purpose === 'held' ? 'Edit the entry under embargo' : 'Revise the entry');
    fill(this.#notice);
    fill(this.#error);
    if (notice) {
      this.#notify(notice);
      this.context.say(notice);
    }
    this.#showKept(undefined);
    this.#showOthers();
    this.#refresh();
    this.around.editing(draft.base?.entry);
  }

  /** What depends on the fields: the preview, and the words on the buttons. */
  #refresh(): void {
    const draft = this.drafts.current;
    const isHeld = draft.fields.released_at !== undefined && (!draft.base || draft.base.held);
    this.#preview.show(draft.fields);
    fill(this.#send, draft.base
      ? draft.base.held && !isHeld ? 'Release now' : 'Save'
      : isHeld ? `Hold until ${clock(draft.fields.released_at!)}` : 'Publish');
    fill(this.#cancel, draft.base ? 'Cancel' : 'Clear');
    this.#cancel.hidden = !draft.base && this.drafts.isPristine();
  }

  #showKept(keptAt: number | undefined, failure?: string): void {
    this.#kept.classList.toggle('is-wrong', failure !== undefined);
    fill(this.#kept, failure !== undefined
      ? `This draft can’t be kept on this device: ${failure}`
      : keptAt && `Draft kept on this device, ${clockWithSeconds(keptAt)}`);
  }

  #notify(text: string, ...actions: HTMLElement[]): void {
    const close = button('Close', () => fill(this.#notice), { class: 'plain small' });
    fill(this.#notice, h('p', { class: 'notice' }, h('span', {}, text), ...actions, close));
  }

  #showOthers(): void {
    const items = this.drafts.others.map((draft) => {
      const words = inWords(draft.fields, 40) || 'without words yet';
      const open = button(`${draft.base ? 'Revision: ' : ''}${words}`, () => void this.turnTo(draft), { class: 'plain' });
      const drop = button('Delete', () => void this.#dropOther(draft), { class: 'small', 'aria-label': `Delete the draft “${words}”` });
      return h('li', {}, open, h('span', { class: 'hint' }, clock(draft.updatedAt)), drop);
    });
    fill(this.#others, items.length > 0 && h('h3', {}, 'Drafts that wait'), items.length > 0 && h('ul', {}, ...items));
  }

  async #dropOther(draft: Draft): Promise<void> {
    await this.drafts.drop(draft);
    this.#showOthers();
    this.context.offerUndo('The draft was deleted.', () => this.adopt(draft));
  }
}

/** The entry as it was sent, from the broker. Complains where it can't be had. */
export async function fetchBase(context: Context, topic: string, entry: string): Promise<Base | undefined> {
  try {
    const source = await context.api.get(`${entryPath(topic, entry)}/source`);
    return { entry, revision: source.revision, fields: source.entry, held: source.held === true };
  } catch (error) {
    context.complain(inPlainWords(error));
    return undefined;
  }
}
