/**
 * The two short lists above the feed: copies of pinned entries, and the key events to jump to. Both are in the order of
 * publication, the newest first, and bounded as the server bounds them. Where one leaves a full list, an older one may
 * have its place: which, only the server knows.
 */
import type { Entry } from 'tenbells';
import { orderOf, permalink, pinOf, timeOf, titleOf, type Place } from './article.js';
import { el } from './dom.js';
import { localise, localiseAll } from './times.js';

/** As on the server: PINNED_MAX and KEY_EVENTS_MAX. */
const PINS_MAX = 10;
const KEY_EVENTS_MAX = 50;

/** A list with at most `max` lines, each of an entry. */
class Short {
  /** Whether a line may be missing at its end. */
  isUnsure = false;

  constructor(
    readonly list: HTMLElement,
    private readonly max: number,
  ) {}

  find(id: string): HTMLElement | undefined {
    return ([...this.list.children] as HTMLElement[]).find((node) => node.dataset['entry'] === id);
  }

  /** Puts a line where its order says, in place of the one that the entry has. */
  put(id: string, line: HTMLElement): void {
    this.find(id)?.remove();
    const next = [...this.list.children].find((other) => order(other) <= order(line));
    this.list.insertBefore(line, next ?? null);
    while (this.list.childElementCount > this.max) this.list.lastElementChild!.remove();
  }

  remove(id: string): void {
    const line = this.find(id);
    if (!line) return;
    this.isUnsure ||= this.list.childElementCount >= this.max;
    line.remove();
  }

  /** Takes the lines of a fresh page. */
  renew(fresh: Element | null): void {
    this.isUnsure = false;
    if (!fresh) return;
    this.list.replaceChildren(...[...fresh.children].map((line) => document.importNode(line, true)));
    localiseAll(this.list);
  }
}

/** Copies of pinned entries. */
export class Pins {
  readonly #copies: Short;

  constructor(
    root: HTMLElement,
    private readonly place: Place,
  ) {
    this.#copies = new Short(root, PINS_MAX);
  }

  get isUnsure(): boolean {
    return this.#copies.isUnsure;
  }

  /** Shows the entry where it is pinned, and takes it away where it isn't any more. */
  apply(entry: Entry): void {
    if (!entry.pinned) return this.#copies.remove(entry.id);
    if (Number(this.#copies.find(entry.id)?.dataset['revision'] ?? 0) > entry.revision) return;
    this.#copies.put(entry.id, pinOf(this.place, entry));
  }

  remove(id: string): void {
    this.#copies.remove(id);
  }

  renew(fresh: Element | null): void {
    this.#copies.renew(fresh);
  }
}

/** Key events to jump to. `root` has the list in it, and is hidden while that is empty. */
export class KeyEvents {
  readonly #lines: Short | undefined;

  constructor(
    private readonly root: HTMLElement,
    private readonly place: Place,
  ) {
    const list = listIn(root);
    if (list) this.#lines = new Short(list, KEY_EVENTS_MAX);
  }

  get isUnsure(): boolean {
    return !!this.#lines?.isUnsure;
  }

  apply(entry: Entry): void {
    if (entry.key_event) this.#lines?.put(entry.id, this.#line(entry));
    else this.#lines?.remove(entry.id);
    this.#show();
  }

  remove(id: string): void {
    this.#lines?.remove(id);
    this.#show();
  }

  renew(fresh: Element | null): void {
    this.#lines?.renew(fresh && listIn(fresh));
    this.#show();
  }

  #show(): void {
    if (this.#lines) this.root.hidden = !this.#lines.list.firstElementChild;
  }

  #line(entry: Entry): HTMLElement {
    const time = timeOf(entry.published_at);
    localise(time);
    const jump = el('a', { href: permalink(this.place, entry.id), 'data-to': entry.id }, titleOf(entry));
    return el('li', { 'data-entry': entry.id, 'data-order': orderOf(entry) }, time, ' ', jump);
  }
}

const listIn = (root: Element): HTMLElement | null => root.querySelector('ol, ul');

const order = (node: Element): number => Number((node as HTMLElement).dataset['order'] ?? 0);
