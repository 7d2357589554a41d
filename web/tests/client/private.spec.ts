/** Private topics: the newsroom's server gets a ticket from the broker, and the page shows it once. */
import type { Broker } from '../support/broker.js';
import { expect, test } from '../support/browser.js';
import { follow } from '../support/follow.js';
import type { Middlebox } from '../support/middlebox.js';

/** The newsroom's own server: it knows its readers, and has a key for them. */
async function membersOnly(broker: Broker, newsroom: Middlebox): Promise<{ given: number }> {
  await broker.putTopic('members', { visibility: 'private' });
  await broker.publish('members', 'two');
  const key = await broker.createKey('reader', 'members');
  const counted = { given: 0 };
  newsroom.answers.set('/ticket', (_, response) => {
    broker.call('POST', '/v1/tickets', undefined, key).then(
      ({ ticket }) => {
        counted.given++;
        response.writeHead(201).end(ticket);
      },
      // The broker is down.
      () => response.destroy(),
    );
  });
  await expect.poll(() => broker.call('POST', '/v1/tickets', undefined, key).catch(() => undefined)).toBeTruthy();
  return counted;
}

for (const transport of ['websocket', 'sse', 'poll'] as const) {
  test(`${transport}: a private topic by tickets, over a kill of the broker`, async ({ broker, newsroom, page }) => {
    const counted = await membersOnly(broker, newsroom);
    const reader = await follow(page, newsroom.url, { topic: 'members', after: 'start', transport, ticketFrom: '/ticket' });
    await reader.has(1, 2);
    await broker.publish('members', 'three');
    await broker.publish('members', 'four');
    await reader.has(1, 4);
    // Each answer to a poll has the next ticket in it.
    expect(counted.given).toBe(1);
    await broker.kill();
    await broker.start();
    await broker.publish('members', 'five');
    await reader.has(1, 5);
    await reader.until('live');
    expect((await reader.events('error')).filter(({ fatal }) => fatal)).toEqual([]);
  });
}

test('tabs with tickets for the same topics share one connection, and one ticket', async ({ broker, newsroom, context }) => {
  const counted = await membersOnly(broker, newsroom);
  const options = { topic: 'members', after: 'start', ticketFrom: '/ticket' };
  const first = await follow(await context.newPage(), newsroom.url, options);
  await first.has(1, 2);
  const second = await follow(await context.newPage(), newsroom.url, options);
  await second.has(1, 2);
  expect(counted.given).toBe(1);
  await first.page.close();
  await broker.publish('members', 'three');
  await second.has(1, 3);
  expect(counted.given).toBe(2);
});

test('a reader whose key is revoked is told so, and does not come back', async ({ broker, newsroom, page }) => {
  await broker.putTopic('members', { visibility: 'private' });
  const key = await broker.createKey('reader', 'members');
  await expect.poll(() => broker.call('GET', '/v1/topics/members', undefined, key).catch(() => undefined)).toBeTruthy();
  const reader = await follow(page, newsroom.url, { topic: 'members', after: 'start', token: key });
  await reader.has(1, 1);
  await broker.revokeKey(key);
  await reader.until('closed');
  expect(await reader.events('error')).toMatchObject([{ code: '4501', fatal: true }]);
  expect(newsroom.lines.join('\n')).not.toContain(key.split('_')[2]!);
});

test('without a ticket a private topic is not there', async ({ broker, newsroom, page }) => {
  await membersOnly(broker, newsroom);
  const reader = await follow(page, newsroom.url, { topic: 'members' });
  await reader.until('closed');
  expect(await reader.events('error')).toMatchObject([{ code: 'topic_not_found', fatal: true }]);
});
