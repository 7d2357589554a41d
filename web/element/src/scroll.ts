/**
 * Never moves what is being read: whether new entries may appear by themselves, and changes that keep the place. Browsers
 * with scroll anchoring keep it by themselves; the others are helped.
 */
import type { Order } from './feed.js';

const anchors = CSS.supports('overflow-anchor', 'auto');
const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** Whether the reader is where new entries come in, and is busy with none of those that are there. */
export function isAtEdge(feed: HTMLElement, order: Order, barBottom: number): boolean {
  const { top, bottom } = feed.getBoundingClientRect();
  // In a window of a few lines the bar scrolls away with the page.
  const edge = Math.max(0, Math.min(barBottom, innerHeight / 2));
  const sees = order === 'newest' ? top >= edge - 1 : bottom <= innerHeight + 1;
  return sees && !feed.contains(document.activeElement) && !isSelected(feed);
}

function isSelected(feed: HTMLElement): boolean {
  const selection = getSelection();
  return !!selection && !selection.isCollapsed && selection.containsNode(feed, true);
}

/** Changes the page, and puts what was at the top of the window back where it was. */
export function keepPlace(feed: HTMLElement, change: () => void): void {
  if (anchors || scrollY <= 0) return change();
  const seen = [...feed.children].find((node) => node.getBoundingClientRect().bottom > 0);
  const before = seen?.getBoundingClientRect().top ?? 0;
  change();
  if (seen?.isConnected) scrollBy({ top: seen.getBoundingClientRect().top - before, behavior: 'instant' });
}

/** Brings an element to the top of the window. */
export function goTo(node: Element): void {
  node.scrollIntoView({ behavior: calm.matches ? 'instant' : 'smooth', block: 'start' });
}

/**
 * Brings an element to the top of the window where the page begins with it: at once, and again once the entries around it
 * have their real heights instead of estimated ones.
 */
export function arriveAt(node: Element): void {
  const go = (): void => node.scrollIntoView({ behavior: 'instant', block: 'start' });
  go();
  requestAnimationFrame(() => {
    go();
    requestAnimationFrame(go);
  });
}

export const isCalm = (): boolean => calm.matches;
