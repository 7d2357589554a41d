/** The page in a browser that runs no script at all: Playwright stops them only after `<noscript>` was taken for unneeded. */
import { expect, test } from '../support/browser.js';
import { many } from '../support/reader.js';

test.use({ launchOptions: async ({ launchOptions }, use) => use({ ...launchOptions, args: [...(launchOptions.args ?? []), '--blink-settings=scriptEnabled=false'] }) });

test('a live page says that it has to be loaded again, and no other', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(70));
  const note = page.getByText('Reload this page to see what is new.');
  await page.goto(`${broker.url}/t/harbour`);
  await expect(note).toBeVisible();
  await expect(page.locator('live-blog [part=bar]')).toHaveCount(0);
  await expect(page.locator('[data-live=state]')).toHaveText('Live');
  await page.goto(`${broker.url}/t/harbour?page=1`);
  await expect(page.locator('#e-n1')).toBeVisible();
  await expect(note).toHaveCount(0);
  await broker.endTopic('harbour');
  await page.goto(`${broker.url}/t/harbour`);
  await expect(page.locator('[data-live=state]')).toHaveText('Ended');
  await expect(note).toHaveCount(0);
});
