/** What the client library gives a page, on a broker that lives, dies and comes back. */
import { expect, test } from '../support/browser.js';
import { follow } from '../support/follow.js';

test('changes arrive live, each once and in order', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', 'one');
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start' });
  await reader.until('live');
  expect(await reader.transport()).toBe('websocket');
  await broker.publish('harbour', 'two');
  await reader.has(1, 2);
  expect(await reader.events('change')).toEqual(await broker.changes('harbour'));
  expect(await reader.position('harbour')).toBe((await broker.topic('harbour')).position);
  expect(await reader.events('error')).toEqual([]);
});

test('a broker that is killed and comes back leaves no gap and no duplicate', async ({ broker, newsroom, page }) => {
  await broker.publishAll('harbour', ['1', '2', '3']);
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start' });
  await reader.has(1, 3);
  for (let round = 0; round < 3; round++) {
    await broker.kill();
    await expect.poll(() => reader.state()).not.toBe('live');
    await broker.start();
    await broker.publish('harbour', `after the kill ${round}`);
  }
  await reader.has(1, 6);
  await reader.until('live');
  expect(await reader.transport()).toBe('websocket');
});

test('a broker that stops says when to come back', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', '1');
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start' });
  await reader.until('live');
  await broker.terminate();
  await broker.start();
  await broker.publish('harbour', '2');
  await reader.has(1, 2);
});

test('a network that is cut for a while costs nothing', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', '1');
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start', awayAfter: 0 });
  await reader.until('live');
  await newsroom.goDown();
  await reader.until('offline');
  await broker.publish('harbour', { id: 'key', headline: 'A key event', key_event: true });
  await broker.publish('harbour', { id: 'plain', headline: 'Plain' });
  await broker.revise('harbour', 'plain', { correction: { note: 'The name was wrong.' } });
  await broker.retract('harbour', 'key', 'Not so.');
  await newsroom.comeUp();
  await reader.has(1, 5);
  await reader.until('live');
  const [away] = await reader.events('away');
  // The key event was taken back meanwhile: what is left of it is its number.
  expect(away).toMatchObject({ topic: 'harbour', changes: 4, entries: 1, key: 0, corrections: 1, retractions: 1 });
  expect(Date.parse(away.since)).not.toBeNaN();
});

test('a browser that goes offline and comes back catches up', async ({ broker, newsroom, page, context }) => {
  await broker.publish('harbour', '1');
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start' });
  await reader.until('live');
  await context.setOffline(true);
  newsroom.cut();
  await reader.until('offline');
  await broker.publish('harbour', '2');
  await context.setOffline(false);
  await reader.has(1, 2);
  await reader.until('live');
});

test('a position of another numbering is a reset, and what follows arrives', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', '1');
  const { position } = await broker.topic('harbour');
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'othertime-7' });
  await expect.poll(() => reader.events('reset')).toEqual([{ topic: 'harbour', position, reason: 'epoch_changed' }]);
  await broker.publish('harbour', '2');
  await reader.has(2, 2);
});

test('a position past the head is a reset', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', '1');
  const { position } = await broker.topic('harbour');
  const past = position.replace(/\d+$/, '99');
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: past });
  await expect.poll(() => reader.events('reset')).toEqual([{ topic: 'harbour', position, reason: 'position_past_head' }]);
  await broker.publish('harbour', '2');
  await reader.has(2, 2);
});

test('a topic that ends says so, and goes on when it is reopened', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', '1');
  const reader = await follow(page, newsroom.url, { topic: 'harbour' });
  await reader.until('live');
  await broker.endTopic('harbour', { topic: 'harbour-2', title: 'The morning after' });
  await reader.until('ended');
  const [change] = await reader.events('change');
  expect(change.state.successor).toEqual({ topic: 'harbour-2', title: 'The morning after' });
  await broker.call('POST', '/v1/topics/harbour/reopen');
  await reader.until('live');
});

test('a topic that does not exist ends the matter', async ({ broker: _, newsroom, page }) => {
  const reader = await follow(page, newsroom.url, { topic: 'nowhere' });
  await reader.until('closed');
  expect(await reader.events('error')).toMatchObject([{ code: 'topic_not_found', topic: 'nowhere', fatal: true }]);
});

test('a reload goes on where the page was', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', '1');
  const before = await follow(page, newsroom.url, { topic: 'harbour' });
  await before.until('live');
  await broker.publish('harbour', '2');
  await before.has(2, 2);
  await page.goto('about:blank');
  await broker.publish('harbour', '3');
  const after = await follow(page, newsroom.url, { topic: 'harbour' });
  await after.has(3, 3);
});

test('pause lets the connection go, resume catches up', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', '1');
  const reader = await follow(page, newsroom.url, { topic: 'harbour' });
  await reader.until('live');
  await page.evaluate(() => (globalThis as any).live.pause());
  expect(await reader.state()).toBe('paused');
  await expect.poll(async () => (await broker.topic('harbour')).readers).toBe(0);
  await broker.publishAll('harbour', ['2', '3']);
  await page.evaluate(() => (globalThis as any).live.resume());
  await reader.has(2, 3);
  await reader.until('live');
});

test('topics come and go on one connection', async ({ broker, newsroom, page }) => {
  await broker.publish('harbour', '1');
  await broker.publish('pier', '1');
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start' });
  await reader.has(1, 1, 'harbour');
  await page.evaluate(() => (globalThis as any).live.subscribe('pier', 'start'));
  await reader.has(1, 1, 'pier');
  await page.evaluate(() => (globalThis as any).live.unsubscribe('harbour'));
  await expect.poll(async () => (await broker.topic('harbour')).readers).toBe(0);
  await broker.publish('harbour', '2');
  await broker.publish('pier', '2');
  await reader.has(1, 2, 'pier');
  await reader.has(1, 1, 'harbour');
  expect(newsroom.asked.websocket).toBe(1);
});

test('an iterator gives each change once, and ends with the connection', async ({ broker, newsroom, page }) => {
  await broker.publishAll('harbour', ['1', '2']);
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start' });
  await page.evaluate(() => {
    const room = globalThis as any;
    room.read = (async () => {
      const offsets = [];
      for await (const change of room.live.changes()) offsets.push(change.offset);
      return offsets;
    })();
  });
  await reader.has(1, 2);
  await broker.publish('harbour', '3');
  await reader.has(1, 3);
  await page.evaluate(() => (globalThis as any).live.close());
  expect(await page.evaluate(() => (globalThis as any).read)).toEqual([1, 2, 3]);
  expect(await reader.state()).toBe('closed');
});
