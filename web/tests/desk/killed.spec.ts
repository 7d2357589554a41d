/**
 * The broker is killed exactly between a write of the desk and its answer: before it has the request, or once it has
 * stored it. The desk calls nothing durable that was not acknowledged, sends it again under the same idempotency key, and
 * the result is there once.
 */
import type { Broker } from '../support/broker.js';
import { expect, test } from '../support/browser.js';
import { Desk } from '../support/desk.js';
import type { Middlebox } from '../support/middlebox.js';

/** Kills the broker at the first write to a path; gives the idempotency keys of all attempts, as they come. */
function killAt(newsroom: Middlebox, broker: Broker, method: string, path: string, isStored: boolean): string[] {
  const keys: string[] = [];
  newsroom.answers.set(path, (request, response) => {
    if (request.method !== method) return newsroom.pass(request, response);
    keys.push(String(request.headers['idempotency-key']));
    if (keys.length > 1) return newsroom.pass(request, response);
    if (isStored) return newsroom.pass(request, response, () => broker.kill());
    void broker.kill().then(() => newsroom.pass(request, response));
  });
  return keys;
}

for (const isStored of [false, true]) {
  test(`killed ${isStored ? 'after it has stored a write, before the desk has the answer' : 'before it has the write'}`, async ({ broker, newsroom, page }) => {
    test.setTimeout(120_000);
    await broker.publish('harbour', { id: 'e', headline: 'Water at 4 metres' });
    await broker.publish('harbour', { id: 'r', headline: 'A breach' });
    const desk = await Desk.open(page, newsroom.url, broker.key, 'harbour');
    const entries = '/v1/topics/harbour/entries';
    /** Does it, looks what the desk says while the broker is dead, and what is there once it lives again. */
    const through = async (what: string, method: string, path: string, write: () => Promise<void>): Promise<void> => {
      const keys = killAt(newsroom, broker, method, path, isStored);
      const before = (await broker.changes('harbour')).length;
      await write();
      const row = desk.sent.filter({ hasText: what }).first();
      await expect(row).toContainText('Kept here. The broker can’t be reached.');
      await expect(row).not.toContainText('Durable');
      await broker.start();
      await expect(row).toContainText('Durable at position', { timeout: 30_000 });
      if (isStored) await expect(row).toContainText('It had arrived the first time.');
      else await expect(row).not.toContainText('It had arrived');
      expect(keys.length).toBeGreaterThan(1);
      expect(new Set(keys).size).toBe(1);
      expect(keys[0]).toMatch(/^desk-[0-9A-Z]{26}$/);
      const changes = await broker.changes('harbour');
      expect(changes).toHaveLength(before + 1);
      await expect(row).toContainText(`-${changes.at(-1).offset}.`);
      await desk.isLive();
    };

    await through('Entry', 'POST', entries, async () => {
      await desk.write('The gates close', 'At 20:31.');
      await desk.text.press('ControlOrMeta+Enter');
    });
    await through('Revision', 'PATCH', `${entries}/e`, async () => {
      await desk.edit('Water at 4 metres');
      await desk.headline.fill('Water at 4.2 metres');
      await page.getByLabel('Correction note').fill('An earlier version had 4 metres.');
      await desk.headline.press('ControlOrMeta+Enter');
    });
    await through('Retraction', 'DELETE', `${entries}/r`, async () => {
      await desk.card('A breach').getByRole('button', { name: /^Retract/ }).click();
      await page.getByLabel('Reason of the retraction').fill('There is none.');
      await page.keyboard.press('Enter');
    });

    const changes = await broker.changes('harbour');
    expect(changes.map(({ kind }) => kind)).toEqual(
      ['entry.published', 'entry.redacted', 'entry.published', 'entry.revised', 'entry.retracted'],
    );
    expect(await broker.call('GET', `${entries}/e`)).toMatchObject({
      revision: 2, headline: 'Water at 4.2 metres', correction: { note: 'An earlier version had 4 metres.' },
    });
    await expect(desk.card('Water at 4.2 metres')).toContainText('An earlier version had 4 metres.');
    await expect(desk.card('There is none.')).toContainText('Gone from every page');
    await expect(page.locator('.entries .card')).toHaveCount(3);
  });
}
