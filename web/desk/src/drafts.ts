/**
 * The draft in hand, kept while it is written, and those that wait. Saves a moment after the last key stroke, and at once
 * when the page is hidden. Knows no form.
 */
import type { Context } from './context.js';
import { same, saysSomething, tidy, type EntryFields } from './fields.js';
import type { Base, Draft } from './keep.js';
import { bylines } from './seat.js';
import { ulid } from './ulid.js';

/** How long nothing is typed before the draft is kept, in ms. */
const PAUSE = 250;

export class Drafts {
  current: Draft;
  #others: Draft[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly context: Context,
    private readonly topic: string,
    /** Called when what is kept has moved: kept at this time, or why not. */
    private readonly changed: (keptAt: number | undefined, failure?: string) => void,
  ) {
    this.current = this.blank();
  }

  /** Those that wait, the newest first. */
  get others(): readonly Draft[] {
    return this.#others;
  }

  /** An empty one; the byline is that of the last entry. Its id becomes the entry's. */
  blank(): Draft {
    const { tab } = this.context;
    return { id: ulid(), owner: tab.id, topic: this.topic, updatedAt: Date.now(), fields: { authors: bylines().last } };
  }

  /** A revision of an entry, as it is now. */
  revision(base: Base, fields: EntryFields = base.fields): Draft {
    return { ...this.blank(), base, fields: structuredClone(fields) };
  }

  /** One that waits, for this entry. */
  of(entry: string): Draft | undefined {
    return this.#others.find(({ base }) => base?.entry === entry);
  }

  /** Whether nothing was written yet. */
  isPristine(draft = this.current): boolean {
    if (draft.base) return same(tidy(draft.fields), tidy(draft.base.fields));
    const { authors: _, ...rest } = tidy(draft.fields);
    return Object.keys(rest).length === 0;
  }

  /** The fields of the current draft are these now. */
  write(fields: EntryFields): void {
    this.current = { ...this.current, fields, updatedAt: Date.now() };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.save(), PAUSE);
  }

  /** Keeps the current draft now; forgets it where nothing is in it. */
  async save(): Promise<void> {
    clearTimeout(this.#timer);
    const { keep } = this.context;
    const draft = this.current;
    try {
      if (this.isPristine(draft)) {
        await keep.dropDraft(draft.id);
        return this.changed(undefined);
      }
      await keep.putDraft(draft);
      this.changed(draft.updatedAt);
    } catch (error) {
      this.changed(undefined, error instanceof Error ? error.message : String(error));
    }
  }

  /** Takes another one into hand; the one before waits, unless it is empty. */
  async turnTo(draft: Draft): Promise<void> {
    await this.save();
    if (!this.isPristine() && this.current.id !== draft.id) this.#others.unshift(this.current);
    this.#others = this.#others.filter(({ id }) => id !== draft.id);
    this.current = draft;
    if (!this.isPristine()) await this.save();
  }

  /** One that a tab left behind, or that came back from a write: waits from now on. */
  add(draft: Draft): void {
    const own = { ...draft, owner: this.context.tab.id };
    if (own.id === this.current.id || this.#others.some(({ id }) => id === own.id)) return;
    this.#others.push(own);
    this.#others.sort((left, right) => right.updatedAt - left.updatedAt);
    void this.context.keep.putDraft(own).catch(() => {});
  }

  /** What comes after the current one is sent or given up: a new entry that waits, or an empty one. */
  next(): Draft {
    clearTimeout(this.#timer);
    const next = this.#others.find(({ base }) => !base) ?? this.blank();
    this.#others = this.#others.filter(({ id }) => id !== next.id);
    this.current = next;
    return next;
  }

  /** Forgets a draft. */
  async drop(draft: Draft): Promise<void> {
    if (draft.id === this.current.id) clearTimeout(this.#timer);
    this.#others = this.#others.filter(({ id }) => id !== draft.id);
    await this.context.keep.dropDraft(draft.id).catch(() => {});
  }

  /** Whether the current one can be sent. */
  get isReady(): boolean {
    return this.current.base ? !this.isPristine() && saysSomething(this.current.fields) : saysSomething(this.current.fields);
  }
}
