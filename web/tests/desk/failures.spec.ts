/** What goes wrong between an editor and the broker: nothing is lost, nothing is published twice, and all of it is seen. */
import { expect, test } from '../support/browser.js';
import { Desk } from '../support/desk.js';

/** Headlines of a topic, in the order of their publication. */
async function headlines(changes: any[]): Promise<string[]> {
  return changes.filter(({ kind }) => kind === 'entry.published').map(({ entry }) => entry.headline);
}

test('the broker is killed between typing and publishing: the entry waits, and is published once it is back', async ({ broker, page }) => {
  await broker.publish('harbour', { headline: 'Before' });
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await desk.write('Through all of it', 'Typed before the kill.');
  await broker.kill();
  await desk.text.press('ControlOrMeta+Enter');
  const row = desk.sent.first();
  await expect(row).toContainText('Kept here. The broker can’t be reached. Next try in');
  await expect(row.getByRole('button', { name: 'Try now' })).toBeVisible();
  // The editor goes on meanwhile; the next one waits its turn.
  await desk.write('And then');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.sent.first()).toContainText('Waits for what was sent before');
  await broker.start();
  await expect(desk.sent.filter({ hasText: 'Durable at position' })).toHaveCount(2, { timeout: 30_000 });
  await desk.isLive();
  expect(await headlines(await broker.changes('harbour'))).toEqual(['Before', 'Through all of it', 'And then']);
  await expect(page.locator('.entries .card')).toHaveCount(3);
});

test('a lost reply: sent again by itself, published once', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', { headline: 'Before' });
  const desk = await Desk.open(page, newsroom.url, broker.key, 'harbour');
  let lost = 0;
  newsroom.answers.set('/v1/topics/harbour/entries', (request, response) => {
    if (request.method !== 'POST') return newsroom.pass(request, response);
    newsroom.answers.delete('/v1/topics/harbour/entries');
    lost++;
    newsroom.pass(request, response, 'lose');
  });
  await desk.write('Once only');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.sent).toContainText('It had arrived the first time.', { timeout: 30_000 });
  expect(lost).toBe(1);
  expect(await headlines(await broker.changes('harbour'))).toEqual(['Before', 'Once only']);
  await expect(page.locator('.entries .card')).toHaveCount(2);
});

test('a tab that crashes while it writes leaves its draft to the next one', async ({ broker, page, context }) => {
  await broker.publish('harbour', { headline: 'Before' });
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await desk.write('Half written', 'And not yet done');
  await page.getByRole('checkbox', { name: 'Key event' }).check();
  await desk.unfold('Tags');
  await page.getByLabel('Tags', { exact: true }).fill('storm');
  // The last key strokes are kept, too.
  await expect.poll(() => page.evaluate(() => new Promise<string>((resolve) => {
    const opened = indexedDB.open('tenbells-desk');
    opened.onsuccess = () => {
      const drafts = opened.result.transaction('drafts').objectStore('drafts').getAll();
      drafts.onsuccess = () => {
        opened.result.close();
        resolve(JSON.stringify(drafts.result));
      };
    };
  }))).toContain('storm');
  const crashed = page.waitForEvent('crash');
  await page.goto('chrome://crash').catch(() => {});
  await crashed;
  await page.close();
  const next = await context.newPage();
  const again = await Desk.open(next, broker.url, broker.key, 'harbour');
  await expect(next.locator('.composer .notice')).toContainText(/Your draft of .* is back/);
  await expect(again.headline).toHaveValue('Half written');
  await expect(again.text).toHaveValue('And not yet done');
  await expect(next.getByRole('checkbox', { name: 'Key event' })).toBeChecked();
  await again.text.press('ControlOrMeta+Enter');
  await expect(again.card('Half written')).toContainText('storm');
  await next.reload();
  await again.isLive();
  await expect(again.headline).toHaveValue('');
});

test('a tab that crashes while it publishes never publishes twice', async ({ broker, newsroom, page, context }) => {
  await broker.publish('harbour', { headline: 'Before' });
  const desk = await Desk.open(page, newsroom.url, broker.key, 'harbour');
  // The first arrives and its answer is held back; the second does not get there.
  const held = new Promise<void>((arrived) => {
    newsroom.answers.set('/v1/topics/harbour/entries', (request, response) => {
      if (request.method !== 'POST') return newsroom.pass(request, response);
      newsroom.answers.set('/v1/topics/harbour/entries', (request, response) => {
        if (request.method !== 'POST') newsroom.pass(request, response);
        else arrived();
      });
      newsroom.pass(request, response, 'lose');
    });
  });
  await desk.write('It got through');
  await desk.headline.press('ControlOrMeta+Enter');
  await held;
  await expect(desk.sent).toHaveCount(1);
  const crashed = page.waitForEvent('crash');
  await page.goto('chrome://crash').catch(() => {});
  await crashed;
  await page.close();
  newsroom.answers.clear();
  const next = await context.newPage();
  const again = await Desk.open(next, newsroom.url, broker.key, 'harbour');
  await expect(next.locator('.bar')).toContainText('it was published: “It got through”');
  await expect(again.sent).toHaveCount(0);
  expect(await headlines(await broker.changes('harbour'))).toEqual(['Before', 'It got through']);
});

test('a tab that crashes before anything arrived keeps what was to be published', async ({ broker, newsroom, page, context }) => {
  await broker.publish('harbour', { headline: 'Before' });
  const desk = await Desk.open(page, newsroom.url, broker.key, 'harbour');
  const begun = new Promise<void>((arrived) => {
    newsroom.answers.set('/v1/topics/harbour/entries', (request, response) => {
      if (request.method !== 'POST') newsroom.pass(request, response);
      else arrived();
    });
  });
  await desk.write('It did not get through');
  await desk.headline.press('ControlOrMeta+Enter');
  await begun;
  const crashed = page.waitForEvent('crash');
  await page.goto('chrome://crash').catch(() => {});
  await crashed;
  await page.close();
  newsroom.answers.clear();
  const next = await context.newPage();
  const again = await Desk.open(next, newsroom.url, broker.key, 'harbour');
  await expect(again.sent).toContainText('The page was closed before the answer came');
  await again.sent.getByRole('button', { name: 'Send again' }).click();
  await expect(again.sent).toContainText('Durable at position');
  expect(await headlines(await broker.changes('harbour'))).toEqual(['Before', 'It did not get through']);
});

test('what the broker refuses is kept with the reason, and goes on from there', async ({ broker, page }) => {
  await broker.publish('harbour', { headline: 'Before' });
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await desk.write('Nearly right');
  await desk.unfold('Sources and links');
  await page.getByRole('button', { name: 'Add source' }).click();
  await page.getByLabel('Source', { exact: true }).fill('Port office');
  const sources = page.getByRole('group', { name: 'Sources', exact: true });
  await sources.getByLabel('Link (https://…)').fill('ftp://example.org');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.sent).toContainText(/Kept here\. Not taken: .*sources\[0\]\.url/);
  await page.reload();
  await desk.isLive();
  await desk.sent.getByRole('button', { name: 'Send again' }).click();
  await expect(desk.sent).toContainText('Not taken');
  await desk.sent.getByRole('button', { name: 'Edit' }).click();
  await expect(desk.headline).toHaveValue('Nearly right');
  // What is wrong is said where it can be mended.
  await expect(page.locator('.composer .error')).toContainText('sources[0].url');
  await sources.getByLabel('Link (https://…)').fill('https://example.org');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.sent).toContainText('Durable at position');
  await expect(desk.sent).toHaveCount(1);
});

test('two tabs of one editor have a draft each, and neither takes the other’s', async ({ broker, page, context }) => {
  await broker.publish('harbour', { headline: 'Before' });
  const one = await Desk.open(page, broker.url, broker.key, 'harbour');
  await one.write('In the first tab');
  await expect(page.getByText('Draft kept on this device')).toBeVisible();
  const second = await context.newPage();
  const two = await Desk.open(second, broker.url, broker.key, 'harbour');
  await expect(two.headline).toHaveValue('');
  await two.write('In the second tab');
  await expect(second.getByText('Draft kept on this device')).toBeVisible();
  await page.close();
  // The first tab is gone: its draft waits in the second one.
  await second.getByRole('button', { name: 'In the first tab', exact: true }).click();
  await expect(two.headline).toHaveValue('In the first tab');
  await second.getByRole('button', { name: 'In the second tab', exact: true }).click();
  await expect(two.headline).toHaveValue('In the second tab');
});

test('what is changed after a lost reply becomes a revision, and no second entry', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', { headline: 'Before' });
  const desk = await Desk.open(page, newsroom.url, broker.key, 'harbour');
  newsroom.answers.set('/v1/topics/harbour/entries', (request, response) =>
    newsroom.pass(request, response, request.method === 'POST' ? 'lose' : 'give'));
  await desk.write('Said once');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.sent).toContainText('It may have arrived');
  await desk.sent.getByRole('button', { name: 'Edit' }).click();
  await expect(desk.headline).toHaveValue('Said once');
  newsroom.answers.clear();
  await desk.headline.fill('Said better');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.sent).toContainText('Another version of this was published by an earlier attempt.');
  await desk.sent.getByRole('button', { name: 'Compare' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await expect(desk.card('Said better')).toHaveAttribute('data-revision', '2');
  expect((await broker.changes('harbour')).map(({ kind }) => kind)).toEqual(['entry.published', 'entry.published', 'entry.revised']);
});

test('while an entry is on its way into the composer, nothing can be typed into another one', async ({ broker, newsroom, page }) => {
  await broker.publishAll('harbour', [{ id: 'e', headline: 'Water at 4 metres' }, { id: 'f', headline: 'The gates close' }]);
  const desk = await Desk.open(page, newsroom.url, broker.key, 'harbour');
  await desk.write('A new one, half written');
  const held: (() => void)[] = [];
  newsroom.answers.set('/v1/topics/harbour/entries/e/source', (request, response) => void held.push(() => newsroom.pass(request, response)));
  await desk.card('Water at 4 metres').getByRole('button', { name: /^Edit/ }).click();
  await expect(page.getByText('Opening the entry …')).toBeVisible();
  await expect(desk.headline).toHaveCount(0);
  await expect(page.locator('.send .primary')).toBeDisabled();
  // Another one was meant after all: it is the one that comes, whichever answer is first.
  await desk.edit('The gates close');
  await expect(desk.headline).toHaveValue('The gates close');
  held.shift()!();
  await page.getByRole('button', { name: 'A new one, half written', exact: true }).click();
  await expect(desk.headline).toHaveValue('A new one, half written');
  // Where none comes, what was in hand is there again.
  newsroom.answers.set('/v1/topics/harbour/entries/e/source', (_, response) => void response.destroy());
  await desk.card('Water at 4 metres').getByRole('button', { name: /^Edit/ }).click();
  await expect(page.locator('.bar, .notice').filter({ hasText: 'The broker can’t be reached.' }).first()).toBeVisible();
  await expect(desk.headline).toHaveValue('A new one, half written');
});
