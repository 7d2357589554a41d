/** Addresses that last, older pages, and what there is without script. */
import { expect, test } from '../support/browser.js';
import { ids, many, open } from '../support/reader.js';

test('a permalink lands on its entry, however old', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(200));
  await open(page, broker, '/t/harbour?entry=n7#e-n7');
  await expect(page.locator('#e-n7')).toBeInViewport();
  await expect(page.locator('#e-n7 .stamp a')).toHaveAttribute('href', '/t/harbour?entry=n7#e-n7');
  // So does an anchor alone, of a page that hasn't the entry.
  await page.goto(`${broker.url}/t/harbour#e-n8`);
  await expect(page.locator('#e-n8')).toBeInViewport();
  // And a page of the archive stays true: revised and retracted as any other.
  await broker.retract('harbour', 'n9');
  await expect(page.locator('#e-n9')).toContainText('retracted');
  await broker.publish('harbour', 'One more');
  await expect(page.locator('live-blog [part=updates]')).toHaveText('1 new update');
});

test('older entries come by a button, never by scrolling', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(95));
  const faults = await open(page, broker, '/t/harbour');
  expect(await ids(page)).toHaveLength(35);
  await page.evaluate(() => scrollTo({ top: document.body.scrollHeight, behavior: 'instant' }));
  await broker.retract('harbour', 'n40', 'Gone while nobody looked');
  const more = page.getByRole('button', { name: 'Load older updates' });
  await more.click();
  await expect(page.locator('[data-live=feed] > article')).toHaveCount(65);
  await expect(page.locator('#e-n60')).toBeFocused();
  await expect(page.locator('#e-n40')).toContainText('Gone while nobody looked');
  await more.click();
  await expect(page.locator('[data-live=feed] > article')).toHaveCount(95);
  await expect(more).toBeHidden();
  expect(await ids(page)).toEqual(Array.from({ length: 95 }, (_, index) => `n${95 - index}`));
  expect(faults).toEqual([]);
});

test('an ended blog is read from its beginning', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(70));
  await broker.endTopic('harbour');
  await page.goto(`${broker.url}/t/harbour`);
  await page.getByRole('button', { name: 'Load newer updates' }).click();
  await expect(page.locator('[data-live=feed] > article')).toHaveCount(60);
  expect((await ids(page)).slice(29, 31)).toEqual(['n30', 'n31']);
  await page.locator('live-blog [part~=order]').click();
  await expect(page).toHaveURL(/order=newest/);
  expect((await ids(page))[0]).toBe('n70');
});

test.describe('without script', () => {
  test.use({ javaScriptEnabled: false });

  test('everything can be read and reached', async ({ broker, page }) => {
    await broker.publishAll('harbour', many(95));
    await broker.revise('harbour', 'n3', { key_event: true, pinned: true });
    await page.goto(`${broker.url}/t/harbour`);
    await expect(page.locator('#e-n95')).toBeVisible();
    await expect(page.locator('#pin-n3')).toBeVisible();
    const note = page.locator('noscript .plain');
    await expect(note).toHaveText('Reload this page to see what is new.');
    await expect(note).toBeVisible();
    await page.getByRole('link', { name: 'Older updates' }).click();
    await expect(page.locator('#e-n60')).toBeVisible();
    await expect(note).toHaveCount(0);
    await page.goto(`${broker.url}/t/harbour`);
    await page.locator('[data-live=events] a').click();
    await expect(page.locator('#e-n3')).toBeInViewport();
  });
});
