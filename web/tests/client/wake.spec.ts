/** A real Chromium that sleeps, goes back and forward, and crashes. */
import { readFileSync } from 'node:fs';
import { expect, test } from '../support/browser.js';
import { follow, Reader } from '../support/follow.js';

// Playwright turns the back-forward cache off.
test.use({ launchOptions: async ({ launchOptions }, use) => use({ ...launchOptions, ignoreDefaultArgs: ['--disable-back-forward-cache'] }) });

test('a laptop that was shut for ten minutes catches up when it is opened, whatever has become of its connection', async ({ broker, newsroom, page }) => {
  await page.clock.install();
  await broker.publish('harbour', '1');
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start' });
  await reader.until('live');
  // As in a network that forgot it: nothing comes, and nobody says so.
  newsroom.mute();
  await broker.publishAll('harbour', ['2', { headline: 'A key event', key_event: true }]);
  await page.clock.fastForward(600_000);
  await reader.has(1, 3);
  await reader.until('live');
  const [away] = await reader.events('away');
  expect(away).toMatchObject({ topic: 'harbour', changes: 2, entries: 2, key: 1 });
  expect(newsroom.asked.websocket).toBe(2);
});

test('a page out of the back-forward cache goes on where it was', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', '1');
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start' });
  await reader.until('live');
  await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => ((globalThis as any).persisted = persisted)));
  await page.goto(`${broker.url}/`);
  await expect.poll(async () => (await broker.topic('harbour')).readers).toBe(0);
  await broker.publish('harbour', '2');
  // It is not loaded again, so there is no load to wait for.
  await page.goBack({ waitUntil: 'commit' });
  // The same page, with what it has had, and not a new one.
  await expect.poll(() => page.evaluate(() => (globalThis as any).persisted)).toBe(true);
  await reader.has(1, 2);
  await reader.until('live');
});

test('when the leading tab crashes another takes over, and nothing is lost', async ({ broker, newsroom, context }) => {
  await broker.publish('harbour', '1');
  const leader = await follow(await context.newPage(), newsroom.url, { topic: 'harbour', after: 'start' });
  await leader.until('live');
  const other = await follow(await context.newPage(), newsroom.url, { topic: 'harbour', after: 'start' });
  await other.until('live');
  const crashed = leader.page.waitForEvent('crash');
  const session = await context.newCDPSession(leader.page);
  void session.send('Page.crash').catch(() => {});
  await crashed;
  await broker.publish('harbour', '2');
  await other.has(1, 2);
  await other.until('live');
  await expect.poll(async () => (await broker.topic('harbour')).readers).toBe(1);
});

test('the module is the same library', async ({ broker, newsroom, page }) => {
  const module = readFileSync(new URL('../../dist/tenbells.js', import.meta.url));
  newsroom.answers.set('/tenbells.js', (_, response) => void response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(module));
  await broker.publish('harbour', '1');
  await page.goto(`${newsroom.url}/newsroom`);
  await page.evaluate(async () => {
    const room = globalThis as any;
    const { connect } = await import('/tenbells.js' as string);
    room.live = connect({ topic: 'harbour', after: 'start' });
    room.events = [];
    room.live.on('change', (change: unknown) => room.events.push(['change', change]));
  });
  const reader = new Reader(page);
  await reader.has(1, 1);
  await broker.publish('harbour', '2');
  await reader.has(1, 2);
});
