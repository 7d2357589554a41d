/**
 * The two short lists above the feed: copies of pinned entries, and the key events to jump to. Both are in the order of
 * publication, the newest first, and bounded as the server bounds them.
 */
import type { Entry } from 'tenbells';
import { orderOf, permalink, pinOf, timeOf, titleOf, type Place } from './article.js';
import { el } from './dom.js';
import { localise } from './times.js';

/** As on the server: PINNED_MAX and KEY_EVENTS_MAX. */
const PINS_MAX = 10;
const KEY_EVENTS_MAX = 50;

/** Copies of pinned entries. */
export class Pins {
  constructor(
    private readonly root: HTMLElement,
    private readonly place: Place,
  ) {}

  /** Shows the entry where it is pinned, and takes it away where it isn't any more. */
  apply(entry: Entry): void {
    const old = find(this.root, entry.id);
    if (!entry.pinned) return old?.remove();
    const revision = Number(old?.dataset['revision'] ?? 0);
    if (revision > entry.revision) return;
    old?.remove();
    put(this.root, pinOf(this.place, entry), PINS_MAX);
  }

  remove(id: string): void {
    find(this.root, id)?.remove();
  }
}

/** Key events to jump to. `root` has the list in it, and is hidden while that is empty. */
export class KeyEvents {
  readonly #list: HTMLElement | null;

  constructor(
    private readonly root: HTMLElement,
    private readonly place: Place,
  ) {
    this.#list = root.querySelector('ol, ul');
  }

  apply(entry: Entry): void {
    if (!this.#list) return;
    find(this.#list, entry.id)?.remove();
    if (entry.key_event) put(this.#list, this.#line(entry), KEY_EVENTS_MAX);
    this.root.hidden = !this.#list.firstElementChild;
  }

  remove(id: string): void {
    if (!this.#list) return;
    find(this.#list, id)?.remove();
    this.root.hidden = !this.#list.firstElementChild;
  }

  #line(entry: Entry): HTMLElement {
    const time = timeOf(entry.published_at);
    localise(time);
    const jump = el('a', { href: permalink(this.place, entry.id), 'data-to': entry.id }, titleOf(entry));
    return el('li', { 'data-entry': entry.id, 'data-order': orderOf(entry) }, time, ' ', jump);
  }
}

function find(list: HTMLElement, id: string): HTMLElement | undefined {
  return ([...list.children] as HTMLElement[]).find((node) => node.dataset['entry'] === id);
}

const order = (node: Element): number => Number((node as HTMLElement).dataset['order'] ?? 0);

function put(list: HTMLElement, node: HTMLElement, max: number): void {
  const next = [...list.children].find((other) => order(other) <= order(node));
  list.insertBefore(node, next ?? null);
  while (list.childElementCount > max) list.lastElementChild!.remove();
}
