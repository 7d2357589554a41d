/** Several tabs of one origin: one connection, taken over when the tab that has it goes. */
import type { Page } from '@playwright/test';
import { expect, test } from '../support/browser.js';
import { follow } from '../support/follow.js';

const WEBSOCKETS = 'tenbells_websockets';

/** Keeps a page's only thread busy for so long: no timer, no message, no event gets through. */
function hang(page: Page, ms: number): void {
  void page.evaluate((ms) => {
    const end = Date.now() + ms;
    while (Date.now() < end);
  }, ms).catch(() => {});
}

test('two tabs share one connection, and both get every change once', async ({ broker, newsroom, context }) => {
  await broker.publishAll('harbour', ['1', '2']);
  const first = await follow(await context.newPage(), newsroom.url, { topic: 'harbour', after: 'start' });
  await first.until('live');
  await broker.publish('harbour', '3');
  const second = await follow(await context.newPage(), newsroom.url, { topic: 'harbour', after: 'start' });
  await second.until('live');
  await broker.publish('harbour', '4');
  await first.has(1, 4);
  await second.has(1, 4);
  expect(await second.transport()).toBe('websocket');
  expect((await broker.topic('harbour')).readers).toBe(1);
  expect(newsroom.asked).toEqual({ websocket: 1, stream: 0, poll: 0 });
});

test('three tabs on three topics share one connection', async ({ broker, newsroom, context }) => {
  const topics = ['harbour', 'pier', 'quay'];
  const readers = [];
  for (const topic of topics) {
    await broker.publish(topic, '1');
    readers.push(await follow(await context.newPage(), newsroom.url, { topic, after: 'start' }));
  }
  for (const topic of topics) await broker.publish(topic, '2');
  for (const [index, reader] of readers.entries()) {
    await reader.has(1, 2);
    expect((await reader.events('change')).every(({ topic }) => topic === topics[index])).toBe(true);
  }
  expect(newsroom.asked.websocket).toBe(1);
  // A topic that nobody follows any more is let go, the others stay.
  await readers[2]!.page.close();
  await expect.poll(async () => (await broker.topic('quay')).readers).toBe(0);
  expect((await broker.topic('harbour')).readers).toBe(1);
});

test('when the leading tab closes another takes over, and nothing is lost', async ({ broker, newsroom, context }) => {
  await broker.publish('harbour', '1');
  const readers = [];
  for (let count = 0; count < 3; count++) {
    readers.push(await follow(await context.newPage(), newsroom.url, { topic: 'harbour', after: 'start' }));
    await readers[count]!.until('live');
  }
  await readers[0]!.page.close();
  await broker.publishAll('harbour', ['2', '3']);
  await readers[1]!.has(1, 3);
  await readers[2]!.has(1, 3);
  await readers[1]!.page.close();
  await broker.publish('harbour', '4');
  await readers[2]!.has(1, 4);
  await readers[2]!.until('live');
  await expect.poll(async () => (await broker.topic('harbour')).readers).toBe(1);
});

test('when the leading tab hangs another takes over, and it finds its way back', async ({ broker, newsroom, context }) => {
  await broker.publish('harbour', '1');
  const leader = await follow(await context.newPage(), newsroom.url, { topic: 'harbour', after: 'start' });
  await leader.until('live');
  const other = await follow(await context.newPage(), newsroom.url, { topic: 'harbour', after: 'start' });
  await other.until('live');
  hang(leader.page, 25_000);
  await broker.publish('harbour', '2');
  await other.has(1, 2);
  await broker.publish('harbour', '3');
  await leader.has(1, 3);
  await leader.until('live');
  await other.has(1, 3);
  await expect.poll(async () => (await broker.topic('harbour')).readers).toBe(1);
});

test('a frozen leading tab gives the lead away, and catches up when it wakes', async ({ broker, newsroom, context }) => {
  await broker.publish('harbour', '1');
  const leader = await follow(await context.newPage(), newsroom.url, { topic: 'harbour', after: 'start' });
  await leader.until('live');
  const other = await follow(await context.newPage(), newsroom.url, { topic: 'harbour', after: 'start' });
  await other.until('live');
  const session = await context.newCDPSession(leader.page);
  await session.send('Page.setWebLifecycleState', { state: 'frozen' });
  await broker.publish('harbour', '2');
  await other.has(1, 2);
  await session.send('Page.setWebLifecycleState', { state: 'active' });
  await leader.has(1, 2);
  await leader.until('live');
});

test('over a kill of the broker all tabs go on', async ({ broker, newsroom, context }) => {
  await broker.publish('harbour', '1');
  const readers = [];
  for (let count = 0; count < 2; count++) {
    readers.push(await follow(await context.newPage(), newsroom.url, { topic: 'harbour', after: 'start' }));
    await readers[count]!.until('live');
  }
  await broker.kill();
  for (const reader of readers) await expect.poll(() => reader.state()).not.toBe('live');
  await broker.start();
  await broker.publish('harbour', '2');
  for (const reader of readers) {
    await reader.has(1, 2);
    await reader.until('live');
  }
  expect(await broker.metric(WEBSOCKETS)).toBe(1);
});

test('tabs that do not share have a connection each', async ({ broker, newsroom, context }) => {
  await broker.publish('harbour', '1');
  for (let count = 0; count < 2; count++) {
    const options = { topic: 'harbour', after: 'start', share: false };
    const reader = await follow(await context.newPage(), newsroom.url, options);
    await reader.has(1, 1);
  }
  expect((await broker.topic('harbour')).readers).toBe(2);
});
