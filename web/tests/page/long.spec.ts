/** A long blog, and a whole one: no jank with 5,000 entries, and pages that end equal to the snapshot after all that happens. */
import type { Page } from '@playwright/test';
import type { Broker } from '../support/broker.js';
import { expect, test } from '../support/browser.js';
import { frames, isLive, many, open, readAt, said } from '../support/reader.js';

/** Above this, a task is one that a reader feels, in ms. */
const LONG_TASK = 50;

/** What takes long on a page from now on, in ms: tasks, or our part of the frames that took long. */
async function slowParts(page: Page, kind: 'longtask' | 'long-animation-frame'): Promise<() => Promise<number[]>> {
  await frames(page);
  await page.evaluate((kind) => {
    const room = globalThis as any;
    room.slow = [];
    room.watching?.disconnect();
    const took = ({ duration, scripts }: any): number => scripts?.reduce((sum: number, script: any) => sum + script.duration, 0) ?? duration;
    room.watching = new PerformanceObserver((list) => room.slow.push(...list.getEntries().map(took)));
    room.watching.observe({ type: kind });
  }, kind);
  return async () => {
    await frames(page);
    const slow: number[] = await page.evaluate(() => (globalThis as any).slow);
    return slow.filter((duration) => duration >= LONG_TASK);
  };
}

/** Tells whether a page is smooth while something is done: a task that the page makes long is long each time; one that the
 * machine makes long isn't. */
type IsSmooth = (what: string, round: (name: string) => Promise<void>, kind?: 'long-animation-frame') => Promise<void>;

const smoothness = (page: Page): IsSmooth => async (what, round, kind) => {
  const seen: number[][] = [];
  for (const name of ['a', 'b', 'c', 'd']) {
    const long = await slowParts(page, kind ?? 'longtask');
    await round(name);
    seen.push(await long());
    if (!seen.at(-1)!.length) return;
  }
  expect(seen, what).toContainEqual([]);
};

async function openLong(page: Page, broker: Broker): Promise<void> {
  for (let from = 1; from <= 5000; from += 1000) await broker.publishAll('harbour', many(1000, from));
  await open(page, broker, '/t/harbour');
}

/** A page with all 5,000 entries of its topic on it, as after a hundred and more clicks. */
async function full(page: Page, broker: Broker): Promise<IsSmooth> {
  await openLong(page, broker);
  await page.evaluate(async () => {
    const feed = document.querySelector('[data-live=feed]')!;
    const pattern = feed.lastElementChild!;
    const older = new DocumentFragment();
    for (let number = 5000 - feed.childElementCount; number > 0; number--) {
      const article = pattern.cloneNode(true) as HTMLElement;
      article.id = `e-n${number}`;
      Object.assign(article.dataset, { entry: `n${number}`, offset: String(number) });
      older.append(article);
    }
    feed.append(older);
    (document.querySelector('live-blog') as any).refresh();
  });
  await expect(page.locator('[data-live=feed] > article')).toHaveCount(5000);
  await frames(page);
  return smoothness(page);
}

test('the page of a topic with 5,000 entries shows what is new without a long task', async ({ broker, page }) => {
  test.setTimeout(150_000);
  await openLong(page, broker);
  const isSmooth = smoothness(page);
  await isSmooth('one by one', async (name) => {
    for (let count = 1; count <= 5; count++) {
      await broker.publish('harbour', { id: `${name}-${count}`, headline: `New ${count}`, body: { markdown: 'With *markup*. '.repeat(20) } });
      await there(page, `e-${name}-${count}`);
    }
  });
  await isSmooth('thirty at once', async (name) => {
    await broker.publishAll('harbour', Array.from({ length: 30 }, (_, index) => ({ id: `${name}-many-${index}`, headline: `Many ${index}` })));
    await there(page, `e-${name}-many-29`);
  });
});

test('with 5,000 entries on the page, a new one that waits makes no long task', async ({ broker, page }) => {
  test.setTimeout(150_000);
  const isSmooth = await full(page, broker);
  // Whoever reads further down has them counted.
  await readAt(page, 'n4990');
  let waiting = 0;
  await isSmooth('while they wait', async (name) => {
    for (let count = 1; count <= 5; count++) await broker.publish('harbour', { id: `${name}-${count}`, headline: `New ${count}` });
    waiting += 5;
    await expect(page.locator('live-blog [part=updates]')).toHaveText(`${waiting} new updates`);
  });
});

/** Waits for an element with this id, in the page: to ask the page from outside takes seconds where it has thousands of entries. */
const there = async (page: Page, id: string, words = ''): Promise<void> => {
  await page.waitForFunction(([id, words]) => document.getElementById(id!)?.textContent?.includes(words!), [id, words] as const);
};

// How long the browser takes to move 5,000 entries down is measured, not tested: docs/benchmarks.md.
test('with 5,000 entries on the page, what appears at the top takes no long work of ours', async ({ broker, page }) => {
  test.setTimeout(150_000);
  const isSmooth = await full(page, broker);
  await isSmooth('one by one', async (name) => {
    for (let count = 1; count <= 5; count++) {
      await broker.publish('harbour', { id: `${name}-${count}`, headline: `New ${count}`, body: { markdown: 'With *markup*. '.repeat(20) } });
      await there(page, `e-${name}-${count}`);
    }
  }, 'long-animation-frame');
  await isSmooth('thirty at once', async (name) => {
    await broker.publishAll('harbour', Array.from({ length: 30 }, (_, index) => ({ id: `${name}-many-${index}`, headline: `Many ${index}` })));
    await there(page, `e-${name}-many-29`);
  }, 'long-animation-frame');
  await isSmooth('revised, pinned, and taken back', async (name) => {
    await broker.publish('harbour', { id: `${name}-wrong`, headline: 'Wrong' });
    await there(page, `e-${name}-wrong`);
    await broker.revise('harbour', `${name}-wrong`, { headline: 'Revised', pinned: true, key_event: true });
    await there(page, `pin-${name}-wrong`, 'Revised');
    await broker.retract('harbour', `${name}-wrong`);
    await there(page, `e-${name}-wrong`, 'retracted');
  }, 'long-animation-frame');
});

test('two readers through a whole blog end with the page that the server has', async ({ broker, browser }) => {
  test.setTimeout(150_000);
  const t = 'harbour';
  await broker.putTopic(t, { title: 'Storm night', summary: 'It begins.' });
  await broker.publishAll(t, many(10));
  const contexts = [await browser.newContext(), await browser.newContext()];
  const [one, two] = [await contexts[0]!.newPage(), await contexts[1]!.newPage()];
  await two.clock.install();
  const faults = [...(await open(one, broker, `/t/${t}`)), ...(await open(two, broker, `/t/${t}`))];
  await readAt(two, 'n4');
  await broker.publish(t, { id: 'a', headline: 'Gate 3', key_event: true });
  await broker.revise(t, 'a', { correction: { note: 'It was gate 4.' }, pinned: true });
  await expect(one.locator('#pin-a')).toBeVisible();
  // The server dies between two changes, and comes back.
  await broker.kill();
  await expect(one.locator('live-blog [part~=connection]')).toHaveText(/^(Offline, as of|Connecting)/, { timeout: 30_000 });
  await broker.start();
  await broker.publish(t, { id: 'b', headline: 'After the restart' });
  await Promise.all([isLive(one), isLive(two)]);
  await expect(one.locator('#e-b')).toBeVisible();
  // One goes offline and misses an entry that is retracted before it is back; the other sleeps.
  await contexts[0]!.setOffline(true);
  await broker.publish(t, { id: 'gone', headline: 'Wrong', body: { text: 'Wrong.' } });
  await broker.retract(t, 'gone', 'It was wrong.');
  // Until it knows: a browser with much to do may leave a connection open that it should have cut.
  await expect(async () => {
    await contexts[1]!.setOffline(false);
    await contexts[1]!.setOffline(true);
    await expect(two.locator('live-blog [part~=connection]')).toHaveText(/^(Offline|Connecting)/, { timeout: 5_000 });
  }).toPass({ timeout: 60_000 });
  await broker.publishAll(t, many(14, 11));
  await broker.publish(t, { id: 'c', headline: 'Key', key_event: true });
  await broker.revise(t, 'n2', { headline: 'Corrected', correction: { note: 'A slip.' } });
  await two.clock.fastForward(40_000);
  await Promise.all(contexts.map((context) => context.setOffline(false)));
  await Promise.all([isLive(one), isLive(two)]);
  await expect(two.locator('live-blog [part=notice]')).toContainText(/While you were away: 1[56] updates, 1 key, 1 correction/);
  await broker.putTopic(t, { title: 'Storm night, calm morning', summary: 'It is over.', key_points: ['One', 'Two'] });
  await broker.endTopic(t, { topic: 'day-2', title: 'Day two' });
  for (const page of [one, two]) {
    await expect(page.locator('live-blog [part~=connection]')).toHaveText('Ended', { timeout: 30_000 });
    if (await page.locator('live-blog [part=updates]').isVisible()) await page.locator('live-blog [part=updates]').click();
    await expect(page.locator('#e-gone')).toContainText('It was wrong.');
  }
  const fresh = await contexts[0]!.newPage();
  await fresh.goto(`${broker.url}/t/${t}`);
  const expected = await said(fresh);
  for (const page of [one, two]) await expect.poll(() => said(page), { timeout: 20_000 }).toEqual(expected);
  expect(faults).toEqual([]);
  await Promise.all(contexts.map((context) => context.close()));
});
