/** The page out of the back-forward cache, which Playwright turns off. */
import { expect, test } from '../support/browser.js';
import { isLive, many, open, readAt, topOf } from '../support/reader.js';

test.use({ launchOptions: async ({ launchOptions }, use) => use({ ...launchOptions, ignoreDefaultArgs: ['--disable-back-forward-cache'] }) });

test('whoever comes back to the page has what came meanwhile, in the place where he was', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(30));
  await broker.publish('other', 'Elsewhere');
  await open(page, broker, '/t/harbour');
  await readAt(page, 'n12');
  const before = await topOf(page, 'n12');
  await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => ((globalThis as any).persisted = persisted)));
  await page.goto(`${broker.url}/t/other`);
  await broker.publish('harbour', { id: 'meanwhile', headline: 'Meanwhile' });
  await broker.retract('harbour', 'n11', 'Wrong.');
  await page.goBack({ waitUntil: 'commit' });
  await expect.poll(() => page.evaluate(() => (globalThis as any).persisted)).toBe(true);
  await isLive(page);
  await expect(page.locator('#e-n11')).toContainText('Wrong.');
  await expect(page.getByRole('button', { name: '1 new update' })).toBeVisible();
  expect(Math.abs((await topOf(page, 'n12')) - before)).toBeLessThanOrEqual(1);
});
