/** The page of a topic, as a reader opens it. */
import { expect, test } from '../support/browser.js';

test('an open page shows what is published', async ({ broker, page }) => {
  await broker.publish('harbour', { id: 'first', headline: 'The gates close' });
  await page.goto(`${broker.url}/t/harbour`);
  await expect(page.locator('#e-first')).toContainText('The gates close');
  await broker.publish('harbour', { id: 'second', headline: 'The barrier holds' });
  await expect(page.locator('#e-second')).toContainText('The barrier holds');
  await expect(page.locator('article')).toHaveCount(2);
});
