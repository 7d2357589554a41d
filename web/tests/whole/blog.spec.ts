/**
 * A whole blog, from its first entry to its successor: an editor at the desk and two readers, through a broker that is
 * killed, a reader without a network and a tab that sleeps. In the end every page has what the snapshot has.
 *
 * `TENBELLS_WHOLE=long` leaves the reader without a network, and the tab asleep, for a whole minute.
 */
import type { Browser, Page } from '@playwright/test';
import type { Broker } from '../support/broker.js';
import { expect, test } from '../support/browser.js';
import { anotherPage, Desk } from '../support/desk.js';

const OFFLINE_MS = process.env['TENBELLS_WHOLE'] === 'long' ? 60_000 : 4_000;

interface Shown {
  id: string;
  headline?: string | undefined;
  correction?: string | undefined;
  body?: string | undefined;
  reason?: string | undefined;
  isGone: boolean;
}

const words = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** What a page has in its feed, by the offset of publication, newest first. */
async function shownOn(page: Page): Promise<Shown[]> {
  const found = await page.locator('[data-live="feed"] > article').evaluateAll((articles) =>
    articles
      .map((article) => {
        const text = (selector: string): string | undefined => article.querySelector(selector)?.textContent ?? undefined;
        return {
          offset: Number((article as HTMLElement).dataset['offset']),
          id: (article as HTMLElement).dataset['entry']!,
          headline: text('h3'),
          correction: text('.correction')?.replace('Correction', ''),
          body: text('.body'),
          reason: text('.reason'),
          isGone: article.classList.contains('tombstone'),
        };
      })
      .sort((a, b) => b.offset - a.offset));
  return found.map(({ offset: _, ...shown }) => plain(shown));
}

/** What the broker's snapshot has. */
async function snapshot(broker: Broker): Promise<Shown[]> {
  const { entries } = await broker.call('GET', '/v1/topics/harbour/entries?limit=1000');
  return entries.map((entry: any) => plain({
    id: entry.id,
    headline: entry.headline,
    correction: entry.correction?.note,
    body: entry.body_text || undefined,
    reason: entry.reason,
    isGone: entry.retracted === true,
  }));
}

function plain(shown: Shown): Shown {
  return Object.fromEntries(Object.entries(shown).filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, typeof value === 'string' ? words(value) : value])) as unknown as Shown;
}

async function reads(browser: Browser, url: string): Promise<Page> {
  const page = await anotherPage(browser);
  await page.goto(`${url}/t/harbour`);
  await expect(page.getByRole('group', { name: 'Live blog controls' })).toContainText('Live', { timeout: 30_000 });
  return page;
}

/** Whatever waits behind the button is shown. */
async function hasAll(page: Page, broker: Broker): Promise<void> {
  const button = page.getByRole('button', { name: /new updates?$/ });
  await expect(async () => {
    if (await button.isVisible()) await button.click();
    expect(await shownOn(page)).toEqual(await snapshot(broker));
  }).toPass({ timeout: 60_000 });
}

test('a whole blog: two readers and a desk, a kill, a network that is gone, a tab that sleeps', async ({ broker, newsroom, page, browser }) => {
  test.setTimeout(120_000 + 2 * OFFLINE_MS);
  await broker.putTopic('harbour', { title: 'Storm at the harbour', language: 'en' });
  await broker.publish('harbour', { id: 'gates', headline: 'The gates close', body: { markdown: 'At **20:31**.' } });
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  // One reader behind a network that can go, one whose tab will sleep.
  const away = await reads(browser, newsroom.url);
  const sleeper = await reads(browser, broker.url);
  await desk.publish('Water at 4 metres', 'It rises.');
  for (const reader of [away, sleeper]) await expect(reader.getByText('Water at 4 metres').first()).toBeVisible();

  const lifecycle = await sleeper.context().newCDPSession(sleeper);
  // A tab in sight can't be frozen; one whose script stands still is as deep asleep.
  const asleep = new Promise((resolve) => lifecycle.once('Debugger.paused', resolve));
  await lifecycle.send('Debugger.enable');
  await lifecycle.send('Debugger.pause');
  await asleep;
  await newsroom.goDown();
  const wentAt = Date.now();
  await broker.publish('harbour', { id: 'ferry', headline: 'Ferries stay in port', key_event: true });
  await broker.publish('harbour', { id: 'rumour', headline: 'A breach, says somebody', body: { text: 'Unconfirmed.' } });
  await desk.edit('Water at 4 metres');
  await desk.headline.fill('Water at 4.2 metres');
  await page.getByLabel('Correction note').fill('An earlier version had 4 metres.');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.card('Water at 4.2 metres')).toContainText('An earlier version had 4 metres.');
  // Only what is durable is promised to come through.
  await expect.poll(async () => JSON.stringify(await broker.changes('harbour'))).toContain('Water at 4.2 metres');

  // The broker dies under the editor's hands, and comes back.
  await broker.kill();
  await desk.write('Through all of it', 'Typed while the broker was dead.');
  await desk.text.press('ControlOrMeta+Enter');
  await expect(desk.sent.first()).toContainText('Kept here');
  await broker.start();
  await expect(desk.sent.filter({ hasText: 'Through all of it' }).first()).toContainText('Durable', { timeout: 30_000 });
  await broker.retract('harbour', 'rumour', 'There is no breach.');

  await page.waitForTimeout(Math.max(0, wentAt + OFFLINE_MS - Date.now()));
  await newsroom.comeUp();
  await lifecycle.send('Debugger.resume');
  for (const reader of [away, sleeper]) {
    await hasAll(reader, broker);
    await expect(reader.locator('body')).not.toContainText('A breach, says somebody');
    // After half a minute and more without a connection, what was missed is told.
    if (OFFLINE_MS > 30_000) await expect(reader.getByText(/^While you were away: \d updates, 1 key, 1 correction/)).toBeVisible();
  }

  await desk.publish('The water falls', 'Good night.');
  await broker.endTopic('harbour', { topic: 'harbour-2', title: 'The morning after' });
  for (const reader of [away, sleeper]) {
    await expect(reader.getByRole('link', { name: 'The morning after' }).first()).toBeVisible({ timeout: 30_000 });
    await hasAll(reader, broker);
  }
  // And whoever comes now gets the same from the server.
  const late = await anotherPage(browser);
  await late.goto(`${broker.url}/t/harbour`);
  expect(await shownOn(late)).toEqual(await snapshot(broker));
  expect((await snapshot(broker)).map(({ headline, isGone }) => headline ?? isGone)).toEqual(
    ['The water falls', 'Through all of it', true, 'Ferries stay in port', 'Water at 4.2 metres', 'The gates close'],
  );
});
