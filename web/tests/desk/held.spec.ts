/** Entries under embargo: seen by the desk alone, moved, released, dropped. */
import { expect, test } from '../support/browser.js';
import { anotherPage, Desk } from '../support/desk.js';

/** What an input for a time takes, so many minutes from now, in the browser's zone. */
function inputTime(minutes: number): string {
  // Three hours and a half ahead of UTC, the whole year.
  return new Date(Date.now() + minutes * 60_000 + 3.5 * 3_600_000).toISOString().slice(0, 16);
}

test.use({ timezoneId: 'Asia/Tehran' });

test('an entry is held in the editor’s own zone, moved, and released by hand', async ({ broker, page, browser }) => {
  await broker.publish('harbour', { id: 'first', headline: 'The gates close' });
  const reader = await anotherPage(browser);
  await reader.goto(`${broker.url}/t/harbour`);
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await desk.write('The mayor speaks');
  await desk.unfold('Embargo');
  await page.getByLabel('Hold until').fill(inputTime(-5));
  await expect(page.locator('.embargo')).toContainText('That time has passed');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(page.locator('.composer .error')).toContainText('The embargo’s time has passed');
  await page.getByLabel('Hold until').fill(inputTime(90));
  await expect(page.locator('.embargo')).toContainText('Zone: Asia/Tehran (GMT+3:30)');
  await expect(page.locator('.embargo')).toContainText('in 1 h 30 min');
  await expect(page.locator('.send .primary')).toContainText('Hold until');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.sent).toContainText('Durable, and held until');
  const held = page.locator('.held .card', { hasText: 'The mayor speaks' });
  await expect(held).toContainText('Asia/Tehran (GMT+3:30)');
  const list = async () => (await broker.call('GET', '/v1/topics/harbour/entries?filter=held')).entries;
  const [{ released_at: at }] = await list();
  expect(Math.abs(Date.parse(at) - Date.now() - 90 * 60_000)).toBeLessThan(60_000);

  await held.getByRole('button', { name: /^Move/ }).click();
  await page.getByRole('dialog').getByLabel('Hold until').fill(inputTime(30));
  await page.getByRole('dialog').getByRole('button', { name: 'Move' }).click();
  await expect(held).toContainText(/in (29|30) min/);
  await held.getByRole('button', { name: /^Edit/ }).click();
  await expect(page.getByRole('heading', { name: 'Edit the entry under embargo' })).toBeVisible();
  await desk.text.fill('Her statement.');
  await desk.text.press('ControlOrMeta+Enter');
  await expect(held).toContainText('Her statement.');
  expect(await list()).toMatchObject([{ revision: 3 }]);
  await expect(page.locator('.entries')).not.toContainText('The mayor speaks');
  expect(await broker.changes('harbour')).toHaveLength(1);

  await held.getByRole('button', { name: /^Release now/ }).click();
  await expect(desk.card('The mayor speaks')).toBeVisible();
  await expect(page.locator('.held')).toBeHidden();
  await expect(reader.getByText('Her statement.').first()).toBeVisible();
});

test('a held entry is dropped without a trace, and one whose time has come appears by itself', async ({ broker, page }) => {
  await broker.publish('harbour', { id: 'first', headline: 'The gates close' });
  const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
  await broker.publish('harbour', { id: 'never', headline: 'Never mind', released_at: at(3600) });
  await broker.publish('harbour', { id: 'soon', headline: 'In a moment', released_at: at(6) });
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await expect(page.getByRole('heading', { name: 'Under embargo (2)' })).toBeVisible();
  await page.getByRole('button', { name: 'Drop: Never mind' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Drop it' }).click();
  await expect(page.locator('.held')).not.toContainText('Never mind');
  await expect(desk.card('In a moment')).toBeVisible();
  await expect(page.locator('.held')).toBeHidden();
  expect((await broker.changes('harbour')).map(({ entry }) => entry.id)).toEqual(['first', 'soon']);
});

test('a key that may not see embargoes publishes all the same', async ({ broker, page }) => {
  await broker.publish('harbour', { headline: 'Held', released_at: new Date(Date.now() + 3_600_000).toISOString() });
  const refused: string[] = [];
  page.on('response', (response) => {
    if (response.status() >= 400) refused.push(response.url());
  });
  const desk = await Desk.open(page, broker.url, await broker.createKey('publisher', 'harbour'), 'harbour');
  await desk.publish('Through');
  await expect(page.locator('.held')).toBeHidden();
  expect(refused).toEqual([]);
});
