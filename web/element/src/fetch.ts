/**
 * Another page of the blog, fetched to take its articles. What is fetched must not be older than what the page has seen, or
 * a change in between would be missed.
 */
import { part } from './dom.js';
import { parsePage } from './trusted.js';

/** How often a page that is too old is asked for again, and how long to wait before that, in ms. */
const TRIES = 4;
const AGAIN_AFTER = 700;

const offsetIn = (position: string): number => Number(position.slice(position.lastIndexOf('-') + 1));
const epochIn = (position: string): string => position.slice(0, position.lastIndexOf('-'));

/** The `<live-blog>` of another page of the broker, at least as young as `position`. */
export async function fetchBlog(url: string, position: () => string | undefined): Promise<HTMLElement> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, { cache: 'no-store', credentials: 'same-origin' });
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
    const blog = parsePage(await response.text()).querySelector<HTMLElement>('live-blog');
    const found = blog?.getAttribute('position');
    if (!blog || !found) throw new Error(`${url}: there is no live blog in it`);
    const seen = position();
    const isOld = !!seen && epochIn(seen) === epochIn(found) && offsetIn(found) < offsetIn(seen);
    if (!isOld) return blog;
    if (attempt === TRIES) throw new Error(`${url}: older than what is shown`);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER));
  }
}

/** The articles of a fetched page, as nodes of this document. */
export function articlesOf(blog: HTMLElement): HTMLElement[] {
  const articles = part(blog, 'feed')?.querySelectorAll<HTMLElement>(':scope > [data-entry]') ?? [];
  return [...articles].map((article) => document.importNode(article, true));
}
