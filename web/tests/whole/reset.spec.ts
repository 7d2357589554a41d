/** A broker that came back from a backup: another numbering, and entries that are gone. Nobody goes on showing them. */
import { expect, test } from '../support/browser.js';
import { anotherPage, Desk } from '../support/desk.js';
import { isLive, many, open, said } from '../support/reader.js';

test('after a restore, desk and reader drop what is gone, and go on in the new numbering', async ({ broker, page, browser }) => {
  await broker.putTopic('harbour', { title: 'Storm night' });
  await broker.publishAll('harbour', many(3));
  const file = await broker.backup();
  await broker.publish('harbour', { id: 'lost', headline: 'After the backup', pinned: true, key_event: true });
  await broker.revise('harbour', 'n2', { headline: 'Revised after the backup' });
  await broker.putTopic('harbour', { title: 'Renamed after the backup' });
  const { position } = await broker.topic('harbour');

  const reader = await anotherPage(browser);
  const faults = await open(reader, broker, '/t/harbour');
  await expect(reader.locator('#pin-lost')).toBeVisible();
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await expect(page.locator('.entries [data-entry=lost]')).toBeVisible();
  await desk.write('Half written', 'Typed before the restore.');

  await broker.restore(file);
  await broker.start();
  expect((await broker.topic('harbour')).position.split('-')[0]).not.toBe(position.split('-')[0]);
  await expect(page.locator('.entries')).not.toContainText('after the backup', { ignoreCase: true, timeout: 40_000 });
  await expect(page.locator('.entries .card')).toHaveCount(3);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Storm night');
  await desk.isLive();
  // What is being written stays, and is published in the new numbering.
  await expect(desk.headline).toHaveValue('Half written');
  await desk.text.press('ControlOrMeta+Enter');
  await expect(desk.sent.first()).toContainText(`Durable at position ${(await broker.topic('harbour')).position.split('-')[0]}-`);
  await expect(desk.card('Half written')).toBeVisible();
  await broker.publish('harbour', { id: 'next', headline: 'From elsewhere' });
  await expect(desk.card('From elsewhere')).toBeVisible();

  await isLive(reader);
  await expect(reader.locator('#e-next')).toBeVisible({ timeout: 40_000 });
  await expect(reader.locator('body')).not.toContainText('after the backup', { ignoreCase: true });
  const fresh = await anotherPage(browser);
  await fresh.goto(`${broker.url}/t/harbour`);
  await expect.poll(() => said(reader)).toEqual(await said(fresh));
  expect(faults).toEqual([]);
});
