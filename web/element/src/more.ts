/**
 * More entries, when the reader asks for them: turns the links to older and newer pages into buttons that load in place.
 * Never by itself. On a page of the archive the links stay links.
 */
import { el, part } from './dom.js';
import type { Blog } from './blog.js';
import { articlesOf, fetchBlog } from './fetch.js';
import { loaded, words } from './words.js';

type Side = 'older' | 'newer';

export class More {
  readonly #links: Partial<Record<Side, HTMLElement>> = {};

  constructor(
    private readonly root: HTMLElement,
    private readonly blog: Blog,
    private readonly position: () => string | undefined,
    private readonly tell: (note: string) => void,
  ) {
    if (root.hasAttribute('archive')) return;
    for (const side of ['older', 'newer'] as const) {
      const place = part(root, side);
      const href = place?.querySelector('a')?.getAttribute('href');
      if (!place || !href) continue;
      this.#links[side] = place;
      this.#button(side, place, href);
    }
  }

  /** Whether there are entries behind the newest one here. */
  get hasNewer(): boolean {
    const place = part(this.root, 'newer');
    return !!place && !place.hidden && !!place.querySelector('a, button');
  }

  /** The order was turned: what is older is on the other side now. */
  turn(): void {
    const { root: feed } = this.blog.feed;
    const [older, newer] = [part(this.root, 'older'), part(this.root, 'newer')];
    const isNewest = this.blog.feed.order === 'newest';
    if (older) isNewest ? feed.after(older) : feed.before(older);
    if (newer) isNewest ? feed.before(newer) : feed.after(newer);
  }

  #button(side: Side, place: HTMLElement, href: string): void {
    const button = el('button', { type: 'button', class: 'more' }, side === 'older' ? words.olderPage : words.newerPage);
    button.addEventListener('click', () => void this.#load(side, place, button, href));
    place.querySelector('a')!.replaceWith(button);
  }

  async #load(side: Side, place: HTMLElement, button: HTMLButtonElement, href: string): Promise<void> {
    // Not disabled, which would take the focus away.
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    button.textContent = words.loading;
    const { feed } = this.blog;
    try {
      const page = await fetchBlog(new URL(href, location.href).href, this.position);
      if (side === 'older') feed.first = Math.min(feed.first, Number(page.getAttribute('first') ?? feed.first));
      const fresh = await this.blog.merge(articlesOf(page));
      const next = part(page, side)?.querySelector('a')?.getAttribute('href');
      if (next) {
        place.replaceChildren(el('a', { href: next }));
        this.#button(side, place, next);
      } else place.hidden = true;
      this.tell(loaded(fresh.length));
      this.#first(side, fresh)?.focus({ preventScroll: true });
    } catch {
      button.textContent = words.loadFailed;
      button.removeAttribute('aria-disabled');
      this.tell(words.loadFailed);
    }
  }

  /** Where reading goes on. */
  #first(side: Side, fresh: HTMLElement[]): HTMLElement | undefined {
    const isDown = (side === 'older') === (this.blog.feed.order === 'newest');
    const { feed } = this.blog;
    const sorted = fresh.sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
    const found = isDown ? sorted[0] : sorted.at(-1);
    return found && feed.get(found.dataset['entry'] ?? '');
  }
}
