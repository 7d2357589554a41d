/**
 * The entries that are on the page, in their order, as an ARIA feed: places by the offset of publication, numbers for
 * assistive technology, Page Up and Page Down from entry to entry. Knows no connection and no change.
 */
import { breathe, sliced } from './dom.js';

export type Order = 'newest' | 'oldest';

const LABEL_MAX = 80;

export class Feed {
  readonly #articles = new Map<string, HTMLElement>();
  #numbering = 0;
  #current: HTMLElement | undefined;

  /** `count`: entries of the whole topic. `first`: number of the oldest one here, counted from the topic's oldest, 1. */
  constructor(
    readonly root: HTMLElement,
    public order: Order,
    public count: number,
    public first: number,
  ) {
    root.setAttribute('role', 'feed');
    root.addEventListener('keydown', (event) => this.#onKey(event));
    root.addEventListener('focusin', (event) => this.#onFocus(event));
    this.adopt();
  }

  /** Takes in what stands below the root, after it was put there by another hand. */
  adopt(): void {
    this.#articles.clear();
    this.#current = undefined;
    for (const article of this.#children()) this.#articles.set(idOf(article), article);
    this.#renumberSoon();
  }

  get size(): number {
    return this.#articles.size;
  }

  get(id: string): HTMLElement | undefined {
    return this.#articles.get(id);
  }

  /** The newest entry here. */
  newest(): HTMLElement | undefined {
    const { firstElementChild, lastElementChild } = this.root;
    return ((this.order === 'newest' ? firstElementChild : lastElementChild) as HTMLElement | null) ?? undefined;
  }

  /** Puts an article where its offset says. One that is here already stays. */
  insert(article: HTMLElement): void {
    const id = idOf(article);
    if (this.#articles.has(id)) return;
    this.#articles.set(id, article);
    const { lastElementChild: last } = this.root;
    if (!last || this.#isBefore(last, article)) this.root.append(article);
    else {
      let next: Element | null = this.root.firstElementChild;
      while (next && this.#isBefore(next, article)) next = next.nextElementSibling;
      this.root.insertBefore(article, next);
    }
    this.#renumberSoon();
  }

  /** Puts a new state of an article in place; the element stays, and with it focus, anchor and number. */
  renew(fresh: HTMLElement): void {
    const old = this.#articles.get(idOf(fresh));
    if (!old) return;
    const hadFocus = old !== document.activeElement && old.contains(document.activeElement);
    const { isTarget } = old.dataset;
    old.className = fresh.className;
    for (const name of Object.keys(old.dataset)) delete old.dataset[name];
    Object.assign(old.dataset, fresh.dataset, isTarget === undefined ? {} : { isTarget });
    old.replaceChildren(...fresh.childNodes);
    if (hadFocus) old.focus({ preventScroll: true });
    old.setAttribute('aria-label', labelOf(old));
  }

  /** Turns the order round. */
  turn(): void {
    this.order = this.order === 'newest' ? 'oldest' : 'newest';
    this.root.replaceChildren(...this.#children().reverse());
    this.#renumberSoon();
  }

  set isBusy(isBusy: boolean) {
    if (isBusy) this.root.setAttribute('aria-busy', 'true');
    else this.root.removeAttribute('aria-busy');
  }

  #children(): HTMLElement[] {
    return [...this.root.children] as HTMLElement[];
  }

  #isBefore(here: Element, other: HTMLElement): boolean {
    const difference = offsetOf(here as HTMLElement) - offsetOf(other);
    return this.order === 'newest' ? difference > 0 : difference < 0;
  }

  /** Numbers and names all articles in the feed's own time: a slice now and then, whatever their number. */
  #renumberSoon(): void {
    const numbering = ++this.#numbering;
    const isCurrent = (): boolean => numbering === this.#numbering;
    void (async () => {
      // What is new is painted first.
      await breathe();
      if (!isCurrent()) return;
      const articles = this.#children();
      const newest = this.first + articles.length - 1;
      const from = this.order === 'newest' ? this.count - newest + 1 : this.first;
      let index = 0;
      await sliced(articles, (article) => this.#number(article, from + index++), isCurrent);
    })();
  }

  #number(article: HTMLElement, number: number): void {
    set(article, 'aria-posinset', String(number));
    set(article, 'aria-setsize', String(this.count));
    if (!article.hasAttribute('aria-label')) article.setAttribute('aria-label', labelOf(article));
    this.#current ??= article;
    set(article, 'tabindex', article === this.#current ? '0' : '-1');
  }

  #onFocus(event: FocusEvent): void {
    const article = (event.target as Element).closest<HTMLElement>('[data-entry]');
    if (!article || article === this.#current) return;
    this.#current?.setAttribute('tabindex', '-1');
    article.setAttribute('tabindex', '0');
    this.#current = article;
  }

  /** The keys of the ARIA authoring practices for a feed. */
  #onKey(event: KeyboardEvent): void {
    const here = (event.target as Element).closest<HTMLElement>('[data-entry]');
    if (!here || event.altKey || event.metaKey || event.shiftKey) return;
    let to: Element | null | undefined;
    if (event.ctrlKey) {
      if (event.key === 'Home') to = outside(this.root, -1);
      else if (event.key === 'End') to = outside(this.root, 1);
    } else if (event.key === 'PageDown') to = here.nextElementSibling ?? outside(this.root, 1);
    else if (event.key === 'PageUp') to = here.previousElementSibling;
    if (!to) return;
    event.preventDefault();
    (to as HTMLElement).focus();
  }
}

export const idOf = (article: HTMLElement): string => article.dataset['entry'] ?? '';
export const offsetOf = (article: HTMLElement): number => Number(article.dataset['offset'] ?? 0);
export const revisionOf = (article: HTMLElement): number => Number(article.dataset['revision'] ?? 0);
export const isTombstone = (article: HTMLElement): boolean => article.classList.contains('tombstone');

function labelOf(article: HTMLElement): string {
  const named = article.querySelector('h3') ?? article.querySelector('.body') ?? article.querySelector('.content');
  const text = (named?.textContent ?? '').trim().replace(/\s+/g, ' ');
  return text.length > LABEL_MAX ? `${text.slice(0, LABEL_MAX)}…` : text;
}

function set(node: Element, name: string, value: string): void {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** The next thing that takes focus outside of the feed, behind it or before it. */
function outside(feed: HTMLElement, direction: 1 | -1): Element | undefined {
  const all = [...document.querySelectorAll<HTMLElement>('a[href], button, [tabindex="0"]')].filter(
    (node) => !feed.contains(node) && node.getClientRects().length > 0,
  );
  const side = direction === 1 ? Node.DOCUMENT_POSITION_FOLLOWING : Node.DOCUMENT_POSITION_PRECEDING;
  const found = all.filter((node) => feed.compareDocumentPosition(node) & side);
  return direction === 1 ? found[0] : found.at(-1);
}
