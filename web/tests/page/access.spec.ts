/** The page for everybody: axe, keys, small windows, large text, still pictures, paper; and the policy it is sent with. */
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import type { Broker } from '../support/broker.js';
import { expect, test } from '../support/browser.js';
import { frames, many, open, readAt } from '../support/reader.js';

const WHOLE = {
  id: 'whole',
  headline: 'The barrier is closed',
  body: { markdown: '## Why\n\nThe last gate went down.\n\n> Early.\n\n| gate | closed |\n|---|---|\n| 1 | 20:02 |' },
  authors: [{ name: 'Ada Lee', url: 'https://example.org/ada' }, { name: 'Wire', type: 'organization' }],
  sources: [{ name: 'Harbour office', role: 'official' }],
  related_links: [{ title: 'Map', url: 'https://example.org/map' }],
  tags: ['service'],
  key_event: true,
  pinned: true,
  verification: 'unconfirmed',
};

async function fill(broker: Broker, language = 'en'): Promise<void> {
  await broker.putTopic('harbour', { title: 'Storm night', summary: 'All calm.', key_points: ['One'], language });
  await broker.publishAll('harbour', many(14));
  await broker.publish('harbour', WHOLE);
  await broker.revise('harbour', 'whole', { correction: { note: 'It was gate 4.' } });
  await broker.retract('harbour', 'n13', 'Wrong.');
}

/** Has axe look at the page as it is now. */
async function check(page: Page, where: string, without: string[] = []): Promise<void> {
  await frames(page);
  const { violations } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .disableRules(without)
    .analyze();
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 120))]), where).toEqual([]);
}

// What hangs over the page covers parts of links until they are scrolled away from under it: their size is no matter then.
const COVERED = ['target-size'];

for (const [name, colorScheme, width, language] of [
  ['wide', 'light', 1280, 'en'],
  ['dark, on a phone', 'dark', 390, 'en'],
  ['from right to left', 'light', 390, 'ar'],
] as const) {
  test(`axe finds nothing: ${name}`, async ({ broker, page }) => {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    await fill(broker, language);
    const faults = await open(page, broker, '/t/harbour');
    await expect(page.locator('#pin-whole')).toBeVisible();
    await check(page, 'live, with a pin');
    await readAt(page, 'n4');
    await broker.publishAll('harbour', many(2, 100));
    await expect(page.locator('live-blog [part=updates]')).toHaveText('2 new updates');
    await check(page, 'with updates that wait', COVERED);
    await broker.endTopic('harbour', { topic: 'harbour', title: 'The same' });
    await expect(page.locator('[part=notice]')).toBeVisible();
    if (width > 1000) await check(page, 'as it ends', COVERED);
    await page.reload();
    await expect(page.locator('live-blog [part~=connection]')).toHaveText('Ended');
    await check(page, 'ended');
    const dir = await page.evaluate(() => document.documentElement.dir);
    expect(dir).toBe(language === 'ar' ? 'rtl' : 'ltr');
    expect(faults).toEqual([]);
  });
}

for (const [name, colorScheme, width] of [
  ['wide', 'light', 1280],
  ['dark, on a phone', 'dark', 390],
] as const) {
  test(`axe finds nothing while it is paused, or has no connection: ${name}`, async ({ broker, page }) => {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    await fill(broker);
    const faults = await open(page, broker, '/t/harbour');
    const connection = page.locator('live-blog [part~=connection]');
    await page.getByRole('button', { name: 'Pause' }).click();
    await broker.publish('harbour', { id: 'meanwhile', headline: 'While it is paused' });
    await expect(connection).toHaveText('Paused');
    await check(page, 'paused', COVERED);
    await page.getByRole('button', { name: 'Resume' }).click();
    await broker.kill();
    await expect(connection).toHaveText(/^Offline/, { timeout: 30_000 });
    await check(page, 'without a connection', COVERED);
    await broker.start();
    await expect(connection).toHaveText('Live', { timeout: 30_000 });
    await check(page, 'after it', COVERED);
    expect(faults).toEqual([]);
  });
}

test('the feed says how many and which, and is walked by keys', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(95));
  await open(page, broker, '/t/harbour');
  const feed = page.getByRole('feed');
  await expect(feed.locator('> article').first()).toHaveAttribute('aria-posinset', '1');
  await expect(feed.locator('> article').nth(4)).toHaveAttribute('aria-posinset', '5');
  await expect(feed.locator('> article').first()).toHaveAttribute('aria-setsize', '95');
  await expect(page.getByRole('article', { name: 'Number 95' })).toHaveCount(1);
  await page.locator('#e-n95').focus();
  await page.keyboard.press('PageDown');
  await expect(page.locator('#e-n94')).toBeFocused();
  await page.keyboard.press('PageUp');
  await expect(page.locator('#e-n95')).toBeFocused();
  // Who reads by keys is not moved either.
  await broker.publish('harbour', { id: 'new', headline: 'New' });
  await expect(page.locator('live-blog [part=updates]')).toHaveText('1 new update');
  await expect(page.locator('live-blog [role=status]')).toHaveText('1 new update');
  await page.keyboard.press('Control+End');
  await expect(page.locator('#e-n95')).not.toBeFocused();
  await expect(page.getByRole('button', { name: 'Load older updates' })).toBeFocused();
});

test('screen readers are told politely, at most every ten seconds, and never the text', async ({ broker, page }) => {
  await page.clock.install();
  await broker.publishAll('harbour', many(3));
  await open(page, broker, '/t/harbour');
  const status = page.locator('live-blog [role=status]');
  await broker.publish('harbour', { id: 'a', headline: 'First' });
  await expect(status).toHaveText('1 new update');
  await broker.publishAll('harbour', [{ id: 'b', headline: 'Second' }, { id: 'c', headline: 'Third' }]);
  await broker.retract('harbour', 'n1');
  await expect(page.locator('#e-c')).toBeVisible();
  await expect(page.locator('#e-n1')).toContainText('retracted');
  await expect(status).toHaveText('1 new update');
  await page.clock.fastForward(10_000);
  await expect(status).toHaveText('2 new updates. An update was retracted');
});

test('times are local, with their zone, and tell how long ago', async ({ broker, browser }) => {
  const hours = (count: number): string => new Date(Date.now() - count * 3_600_000).toISOString();
  await broker.putTopic('harbour', { language: 'en-GB' });
  await broker.publish('harbour', { id: 'old', headline: 'Old', published_at: '2024-01-02T20:31:00Z' });
  await broker.publish('harbour', { id: 'young', headline: 'Young', published_at: hours(2) });
  const context = await browser.newContext({ timezoneId: 'Europe/Berlin' });
  const page = await context.newPage();
  await open(page, broker, '/t/harbour');
  await expect(page.locator('#e-old .stamp time')).toHaveText(/2 Jan 2024.*21:31 CET/);
  await expect(page.locator('#e-old .ago')).toHaveText('');
  await expect(page.locator('#e-young .ago')).toHaveText(/^2 h(rs?|ours?)?\.? ago$/);
  await context.close();
});

test('the first load is small, and the policy holds', async ({ broker, page }) => {
  await broker.putTopic('harbour', { title: 'Storm night' });
  let bytes = 0;
  const asked: string[] = [];
  const html = await fetch(`${broker.url}/t/harbour`, { headers: { 'accept-encoding': 'identity' } }).then((answer) => answer.text());
  for (const [, path] of [['', '/t/harbour'], ...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)]) {
    const { request } = await import('node:http');
    bytes += await new Promise<number>((resolve, reject) => {
      request(broker.url + path!.replaceAll('&#x2f;', '/'), { headers: { 'accept-encoding': 'gzip' } }, (answer) => {
        expect(answer.headers['content-encoding']).toBe('gzip');
        let length = 0;
        answer.on('data', (part: Buffer) => (length += part.length));
        answer.on('end', () => resolve(length));
      }).on('error', reject).end();
    });
  }
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await page.addInitScript(() => {
    (globalThis as any).violations = [];
    document.addEventListener('securitypolicyviolation', (event) => (globalThis as any).violations.push(event.violatedDirective));
  });
  await open(page, broker, '/t/harbour');
  await broker.publish('harbour', { id: 'a', body: { markdown: 'Live *markup*' } });
  await expect(page.locator('#e-a em')).toHaveText('markup');
  console.log(`first load: ${bytes} bytes gzipped`);
  expect(bytes).toBeLessThan(40 * 1024);
  // What was weighed is all there is.
  expect(asked.filter((path) => path !== '/v1/ws').sort()).toEqual(['/assets/live-blog.css', '/assets/live-blog.js', '/t/harbour']);
  expect(await page.evaluate(() => (globalThis as any).violations)).toEqual([]);
  // Text is no HTML but by the page's one policy.
  const refused = await page.evaluate(() => {
    try {
      document.createElement('div').innerHTML = '<b>x</b>';
      return 'taken';
    } catch (error) {
      return (error as Error).name;
    }
  });
  expect(refused).toBe('TypeError');
});
