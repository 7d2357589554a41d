/**
 * Links to an entry: those that are on the page are jumped to, with the permalink in the address bar; the others are left to
 * the browser. An address that names an entry which isn't here is sent to the page that has it.
 */
import { arriveAt, goTo } from './scroll.js';

export class Jumps {
  constructor(
    private readonly root: HTMLElement,
    private readonly find: (id: string) => HTMLElement | undefined,
    private readonly flush: () => Promise<unknown>,
    signal: AbortSignal,
  ) {
    root.addEventListener('click', (event) => void this.#onClick(event), { signal });
    if (!root.hasAttribute('page')) return;
    window.addEventListener('hashchange', () => void this.#toHash(), { signal });
    void this.#toHash();
  }

  async #onClick(event: MouseEvent): Promise<void> {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element).closest<HTMLAnchorElement>('a[data-to]');
    const id = link?.dataset['to'];
    if (!link || !id || !this.find(id)) return;
    event.preventDefault();
    if (this.root.hasAttribute('page')) history.pushState(null, '', link.href);
    this.#show(id);
  }

  async #toHash(): Promise<void> {
    const [, id] = /^#e-(.+)$/.exec(decodeURIComponent(location.hash)) ?? [];
    if (!id) return;
    if (!this.find(id)) await this.flush();
    if (this.find(id)) return arriveAt(this.#mark(id));
    const asked = new URLSearchParams(location.search).get('entry');
    // Asked for by the server's own address and not there: it will not be there the next time.
    if (asked !== id) location.replace(`/t/${this.root.getAttribute('topic')}?entry=${encodeURIComponent(id)}#e-${encodeURIComponent(id)}`);
  }

  #show(id: string): void {
    const article = this.#mark(id);
    article.focus({ preventScroll: true });
    goTo(article);
  }

  #mark(id: string): HTMLElement {
    const article = this.find(id)!;
    for (const other of this.root.querySelectorAll<HTMLElement>('[data-is-target]')) delete other.dataset['isTarget'];
    article.dataset['isTarget'] = '';
    return article;
  }
}
