/** Networks that let one transport through and another not. */
import { expect, test } from '../support/browser.js';
import { follow } from '../support/follow.js';

for (const treatment of ['refuse', 'hold'] as const) {
  test(`where WebSockets are met with ${treatment}, changes come as server-sent events`, async ({ broker, newsroom, page }) => {
    newsroom.websocket = treatment;
    await broker.publish('harbour', '1');
    const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start' });
    await reader.until('live');
    expect(await reader.transport()).toBe('sse');
    await broker.publish('harbour', '2');
    await reader.has(1, 2);
    expect(newsroom.asked.poll).toBe(0);
  });

  test(`where event streams are met with ${treatment} as well, they come by long polls`, async ({ broker, newsroom, page }) => {
    newsroom.websocket = 'refuse';
    newsroom.stream = treatment;
    await broker.publish('harbour', '1');
    const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start' });
    await reader.until('live');
    expect(await reader.transport()).toBe('poll');
    await broker.publish('harbour', '2');
    await broker.publish('harbour', '3');
    await reader.has(1, 3);
  });
}

test('it comes back to WebSocket once that goes through', async ({ broker, newsroom, page }) => {
  newsroom.websocket = 'refuse';
  await broker.publish('harbour', '1');
  const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start' });
  await reader.until('live');
  expect(await reader.transport()).toBe('sse');
  newsroom.websocket = 'pass';
  for (let count = 2; (await reader.transport()) !== 'websocket'; count++) {
    await broker.publish('harbour', String(count));
    await reader.has(1, count);
    await page.waitForTimeout(500);
  }
  await broker.publish('harbour', 'by WebSocket');
  const { head } = await broker.topic('harbour');
  await reader.has(1, head);
  // The stream was let go.
  await expect.poll(async () => (await broker.topic('harbour')).readers).toBe(1);
});

for (const transport of ['websocket', 'sse', 'poll'] as const) {
  test(`${transport} alone, over a kill of the broker`, async ({ broker, newsroom, page }) => {
    await broker.publishAll('harbour', ['1', '2']);
    const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start', transport });
    await reader.has(1, 2);
    await broker.kill();
    await broker.start();
    await broker.publish('harbour', '3');
    await reader.has(1, 3);
    await reader.until('live');
    expect(await reader.transport()).toBe(transport);
    const kinds = { websocket: newsroom.asked.websocket, sse: newsroom.asked.stream, poll: newsroom.asked.poll };
    for (const [kind, count] of Object.entries(kinds)) expect(count > 0, kind).toBe(kind === transport);
  });

  test(`${transport}: a reset`, async ({ broker, newsroom, page }) => {
    await broker.publish('harbour', '1');
    const { position } = await broker.topic('harbour');
    const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'othertime-3', transport });
    await expect.poll(() => reader.events('reset')).toEqual([{ topic: 'harbour', position, reason: 'epoch_changed' }]);
    await broker.publish('harbour', '2');
    await reader.has(2, 2);
  });

  test(`${transport}: no such topic`, async ({ broker: _, newsroom, page }) => {
    const reader = await follow(page, newsroom.url, { topic: 'nowhere', transport });
    await reader.until('closed');
    expect(await reader.events('error')).toMatchObject([{ code: 'topic_not_found', topic: 'nowhere', fatal: true }]);
  });

  test(`${transport}: a long catch-up`, async ({ broker, newsroom, page }) => {
    const texts = Array.from({ length: 350 }, (_, index) => `number ${index + 1}`);
    await broker.publishAll('harbour', texts);
    const reader = await follow(page, newsroom.url, { topic: 'harbour', after: 'start', transport });
    await reader.until('live');
    await reader.has(1, 350);
    expect((await reader.events('state')).map(({ state }) => state)).toEqual(['catching-up', 'live']);
  });
}
