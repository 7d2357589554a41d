/** Signing in and out: where the key is, and where it never is. */
import type { Page } from '@playwright/test';
import { expect, test } from '../support/browser.js';
import { Desk } from '../support/desk.js';

/** Everything that this page's storages hold. */
async function stored(page: Page): Promise<{ tab: string; device: string; cookies: string }> {
  return page.evaluate(() => ({
    tab: JSON.stringify({ ...sessionStorage }), device: JSON.stringify({ ...localStorage }), cookies: document.cookie,
  }));
}

test('the key is kept for the tab alone, and is in no address and no log', async ({ broker, page, context }) => {
  await broker.publish('harbour', 'One');
  const addresses: string[] = [];
  page.on('request', (request) => addresses.push(request.url(), request.headers()['referer'] ?? ''));
  page.on('websocket', (socket) => addresses.push(socket.url()));
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await desk.publish('Two');
  const held = await stored(page);
  expect(held.tab).toContain(broker.key);
  expect(held.device).not.toContain(broker.key);
  expect(held.cookies).toBe('');
  const secret = broker.key.split('_')[2]!;
  expect(addresses.length).toBeGreaterThan(5);
  expect(addresses.join(' ')).not.toContain(secret);
  expect(broker.log()).not.toContain(secret);
  // A reload keeps it, another tab doesn't have it.
  await page.reload();
  await desk.isLive();
  const other = await context.newPage();
  await other.goto(`${broker.url}/desk`);
  await expect(other.getByRole('button', { name: 'Sign in' })).toBeVisible();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('alert')).toHaveText('You are signed out.');
  expect((await stored(page)).tab).not.toContain(broker.key);
  await page.reload();
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
});

test('a key that is remembered on the device is there in every tab, until one of them signs out', async ({ broker, page, context }) => {
  const desk = new Desk(page, broker.url);
  await page.goto(`${broker.url}/desk`);
  await desk.signIn(broker.key, 'Ada Lee', true);
  expect((await stored(page)).device).toContain(broker.key);
  const other = await context.newPage();
  await other.goto(`${broker.url}/desk`);
  await expect(other.getByText('Remembered here')).toBeVisible();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(other.getByRole('alert')).toHaveText('Signed out in another tab.');
  expect((await stored(other)).device).not.toContain(broker.key);
});

test('what is no key for a desk is refused with the reason', async ({ broker, page }) => {
  await page.goto(`${broker.url}/desk`);
  const tries: [string, RegExp][] = [
    ['', /Paste the key/],
    ['tb_no', /not known/],
    ['tb_ä', /isn’t a key/],
    [await broker.createKey('reader', '*'), /may read, but not publish/],
  ];
  for (const [key, why] of tries) {
    await page.getByLabel('Key', { exact: true }).fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await expect(page.getByRole('alert')).toHaveText(why);
  }
  expect(await stored(page)).toMatchObject({ tab: '{}' });
});

test('a key that is revoked leaves the text where it is, and another key goes on with it', async ({ broker, page }) => {
  await broker.publish('harbour', 'One');
  const key = await broker.createKey('desk', 'harbour');
  const desk = await Desk.open(page, broker.url, key, 'harbour');
  await desk.write('Not lost');
  await broker.revokeKey(key);
  await expect(page.getByText('Your key is not good any more')).toBeVisible();
  await expect(desk.headline).toHaveValue('Not lost');
  await page.getByRole('button', { name: 'Sign in again' }).click();
  await desk.signIn(broker.key);
  await expect(desk.headline).toHaveValue('Not lost');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.sent).toContainText('Durable');
  expect((await broker.changes('harbour')).at(-1).entry.headline).toBe('Not lost');
});

test('signing out says what is still unsent, and deletes it on request', async ({ broker, page }) => {
  await broker.publish('harbour', 'One');
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await desk.write('Half a thought');
  await expect(page.getByText('Draft kept on this device')).toBeVisible();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('dialog')).toContainText('One text that nobody has published');
  await page.getByRole('button', { name: 'Keep and sign out' }).click();
  await desk.signIn(broker.key);
  await expect(desk.headline).toHaveValue('Half a thought');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Delete and sign out' }).click();
  await desk.signIn(broker.key);
  await desk.isLive();
  await expect(desk.headline).toHaveValue('');
});
