/**
 * The corpus of `tests/hostile/xss.txt` on the reader's page, in a browser: published to a real broker, read as the server
 * renders it and as the element brings it in. Nothing of it runs, the Content-Security-Policy has nothing to stop, and what
 * the browser builds has nothing but what `tests/hostile/allowed.json` allows.
 */
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { expect, test } from '../support/browser.js';
import { isLive } from '../support/reader.js';

const file = (name: string): string => readFileSync(new URL(`../../../tests/hostile/${name}`, import.meta.url), 'utf8');
const allowed = JSON.parse(file('allowed.json')) as object;
const attempts = file('xss.txt')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('# '))
  .map((line) => (line.startsWith('"') ? (JSON.parse(line) as string) : line));
/** As many as a page has at once. */
const A_PAGE = 28;
const pages = Array.from({ length: Math.ceil(attempts.length / A_PAGE) }, (_, index) => attempts.slice(index * A_PAGE, (index + 1) * A_PAGE));

/** What a page did that it must not: scripts that ran, violations of its policy, requests to elsewhere. */
interface Seen {
  dialogs: string[];
  requests: string[];
}

async function watch(page: Page, own: string): Promise<Seen> {
  const seen: Seen = { dialogs: [], requests: [] };
  page.on('dialog', (dialog) => {
    seen.dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  await page.route('**/*', (route) => {
    const url = route.request().url();
    if (url.startsWith(own)) return route.continue();
    // Pictures may come from elsewhere; nothing else may.
    if (route.request().resourceType() !== 'image' || url.includes('evil.example')) seen.requests.push(url);
    return route.abort();
  });
  await page.addInitScript(() => {
    const marks = window as unknown as { ran: string[]; violations: string[] };
    marks.ran = [];
    marks.violations = [];
    const parent = window.top as unknown as { ran: string[] };
    window.alert = () => parent.ran.push(location.href);
    document.addEventListener('securitypolicyviolation', (event) =>
      marks.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`),
    );
  });
  return seen;
}

/** What stands in the bodies and the summary that may not, and anywhere that could run. */
const built = (page: Page): Promise<string[]> =>
  page.evaluate((allowed: any) => {
    const faults: string[] = [];
    for (const body of document.querySelectorAll('article .body, [data-live=summary]')) {
      const walker = document.createTreeWalker(body, NodeFilter.SHOW_ALL);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (node.nodeType === Node.TEXT_NODE) continue;
        if (!(node instanceof HTMLElement)) {
          faults.push(`${node.nodeName} in ${body.innerHTML}`);
          continue;
        }
        const name = node.localName;
        const of: string[] = [...allowed.attributes, ...(allowed.of[name] ?? [])];
        const odd = node.getAttributeNames().filter((key) => !of.includes(key));
        if (!allowed.elements.includes(name) || odd.length || node.shadowRoot) faults.push(`<${name} ${odd.join(' ')}> in ${body.innerHTML}`);
        for (const url of [(node as any).href, (node as any).src, (node as any).cite]) {
          if (url && !/^(https?|mailto):/.test(url)) faults.push(`${url} in ${body.innerHTML}`);
        }
      }
    }
    for (const node of document.querySelectorAll('*')) {
      const events = node.getAttributeNames().filter((key) => key.startsWith('on') || key === 'srcdoc' || key === 'style');
      if (events.length) faults.push(node.outerHTML);
    }
    for (const node of document.querySelectorAll('script, iframe, object, embed, base, meta[http-equiv], svg script')) {
      const isOurs = node instanceof HTMLScriptElement && (node.type === 'application/ld+json' || new URL(node.src).origin === location.origin);
      if (!isOurs) faults.push(node.outerHTML);
    }
    return faults;
  }, allowed);

async function assertHarmless(page: Page, seen: Seen, count: number): Promise<void> {
  await expect(page.locator('[data-live=feed] > article')).toHaveCount(count);
  expect(await built(page)).toEqual([]);
  const marks = await page.evaluate(() => {
    const { ran, violations } = window as unknown as { ran: string[]; violations: string[] };
    return { ran, violations };
  });
  expect(marks).toEqual({ ran: [], violations: [] });
  expect(seen).toEqual({ dialogs: [], requests: [] });
}

test('what would run is noticed', async ({ page }) => {
  const seen = await watch(page, 'http://nowhere.example');
  await page.goto('about:blank');
  await page.setContent('<img src=x onerror=alert(1)><svg onload=alert(1)></svg><iframe srcdoc="<script>parent.alert(1)</script>"></iframe>');
  await expect.poll(() => page.evaluate(() => (window as unknown as { ran: string[] }).ran.length)).toBe(3);
  const faults = await page.evaluate(() => document.querySelectorAll('iframe, svg, [onerror]').length);
  expect(faults).toBe(3);
  expect(seen.dialogs).toEqual([]);
});

for (const half of [0, 1]) {
  test(`no attempt of the corpus gets through, live or rendered (${half + 1} of 2)`, async ({ broker, page }) => {
    expect(attempts.length).toBeGreaterThan(250);
    const seen = await watch(page, broker.url);
    for (const [number, list] of pages.entries()) {
      if (number % 2 !== half) continue;
      const topic = `hostile-${number}`;
      await broker.publish(topic, 'Before');
      await page.goto(`${broker.url}/t/${topic}`);
      await isLive(page);
      await broker.publishAll(topic, list.map((attempt, index) => ({
        id: `a${index}`,
        // Where there is text alone, it stays text.
        headline: attempt,
        body: index % 3 ? { html: attempt } : { markdown: `Before ${attempt} *behind*` },
        authors: [{ name: attempt }],
        sources: [{ name: attempt }],
        related_links: [{ title: attempt, url: 'https://a.example/' }],
        tags: [attempt],
        key_event: index === 1,
        pinned: index === 2,
        correction: { note: attempt },
      })));
      await broker.putTopic(topic, { title: list[0], summary: { html: list.join(' ') }, key_points: list.slice(0, 5) });
      await expect(page).toHaveTitle(/./);
      // Live, by the element.
      await assertHarmless(page, seen, list.length + 1);
      await expect(page.locator('[data-live=points] li')).toHaveCount(Math.min(5, list.length));
      // As the server renders it.
      await page.goto(`${broker.url}/t/${topic}`);
      await isLive(page);
      await assertHarmless(page, seen, list.length + 1);
    }
  });
}
