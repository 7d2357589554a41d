/** A reader's open page of a live blog, seen from the test. */
import type { Page } from '@playwright/test';
import { expect } from '@playwright/test';
import type { Broker } from './broker.js';

/** Entries that fill several windows, the oldest first: n1, n2 … */
export const many = (count: number, from = 1): object[] =>
  Array.from({ length: count }, (_, index) => ({
    id: `n${from + index}`,
    headline: `Number ${from + index}`,
    body: { text: 'The pumps went on at the planned time. '.repeat(4) },
  }));

/** Opens a topic's page and waits until it is live. Faults of the page fail the test at its end: see `faults`. */
export async function open(page: Page, broker: Broker, path: string): Promise<string[]> {
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    const isExpected = /WebSocket connection|ERR_|Failed to load resource/.test(message.text());
    if (message.type() === 'error' && !isExpected) faults.push(message.text());
  });
  await page.goto(broker.url + path);
  await isLive(page);
  return faults;
}

export async function isLive(page: Page): Promise<void> {
  await expect(page.locator('live-blog')).toHaveJSProperty('state', 'live', { timeout: 30_000 });
}

/** The ids of the entries in the feed, from the top. */
export const ids = (page: Page): Promise<string[]> =>
  page.locator('[data-live=feed] > article').evaluateAll((all) => all.map((each) => (each as HTMLElement).dataset['entry'] ?? ''));

/** Where an entry stands in the window, in pixels from its top. */
export const topOf = (page: Page, id: string): Promise<number> =>
  page.locator(`#e-${id}`).evaluate((node) => Math.round(node.getBoundingClientRect().top));

/** Scrolls an entry to the middle of the window, and waits until the browser has settled. */
export async function readAt(page: Page, id: string): Promise<void> {
  await page.locator(`#e-${id}`).evaluate((node) => node.scrollIntoView({ behavior: 'instant', block: 'center' }));
  await frames(page);
}

/** Lets the page have some frames. */
export const frames = (page: Page): Promise<void> =>
  page.evaluate(
    () => new Promise<void>((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve, 50)))),
  );

/** What a page says of a blog, without what time does to it: to be compared with another page. */
export const said = (page: Page): Promise<object> =>
  page.locator('live-blog').evaluate((blog) => {
    const text = (node: Element | null): string => (node?.textContent ?? '').trim().replace(/\s+/g, ' ');
    const entry = (article: Element): object => ({
      id: (article as HTMLElement).dataset['entry'],
      offset: (article as HTMLElement).dataset['offset'] ?? null,
      revision: (article as HTMLElement).dataset['revision'] ?? null,
      classes: [...article.classList].filter((name) => name !== 'fresh').sort(),
      time: article.querySelector('time')?.dateTime,
      html: (article.querySelector('.body')?.innerHTML ?? '').trim(),
      text: [...article.querySelectorAll('.content > *:not(.body)')].map(text),
    });
    const all = (selector: string): object[] => [...blog.querySelectorAll(selector)].map(entry);
    return {
      title: text(blog.querySelector('[data-live=title]')),
      summary: text(blog.querySelector('[data-live=summary]')),
      points: [...blog.querySelectorAll('[data-live=points] li')].map(text),
      events: [...blog.querySelectorAll('[data-live=events] a')].map(text),
      handover: text(blog.querySelector('[data-live=handover] a')),
      pins: all('[data-live=pins] > article'),
      entries: all('[data-live=feed] > article').sort((a: any, b: any) => a.offset - b.offset),
    };
  });
