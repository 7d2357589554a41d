/** What wakes the library: a sleep, a network that comes back, a connection that died without a word. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { connect, type Away, type Live, type Options } from 'tenbells';
import { json, Stage, Stream } from '../support/stage.js';

const entry = (offset: number) => ({
  op: 'change', topic: 'harbour', offset, at: '2026-11-24T20:31:40.120Z', kind: 'entry.published',
  entry: { id: `e${offset}`, revision: 1, body_html: '', authors: [], sources: [], related_links: [], tags: [],
    key_event: offset % 2 === 0, pinned: false, published_at: '', created_at: '', updated_at: '' },
});
const subscribed = (offset: number, head: number) =>
  ({ op: 'subscribed', topic: 'harbour', position: `epoch1-${offset}`, head });

let stage: Stage;
let live: Live;

beforeEach(() => (stage = new Stage()));
afterEach(() => {
  live.close();
  stage.end();
});

async function goLive(options: Partial<Options> = {}): Promise<void> {
  live = connect({ url: 'https://live.example', topic: 'harbour', after: 'epoch1-2', transport: 'websocket', ...options });
  await stage.next();
  stage.socket.say(subscribed(2, 2));
  await stage.settle();
  assert.equal(live.state, 'live');
}

test('after a sleep it connects anew at once, and says what came meanwhile', async () => {
  await goLive();
  const away: Away[] = [];
  live.on('away', (told) => away.push(told));
  const asleep = stage.now;
  await stage.sleep(3_600_000);
  await stage.pass(50);
  assert.deepEqual(await stage.next(), { op: 'subscribe', topic: 'harbour', after: 'epoch1-2' });
  assert.equal(stage.sockets.length, 2);
  assert.ok(stage.now - asleep - 3_600_000 <= 200, 'at once');
  assert.notEqual(live.state, 'live');
  stage.socket.say(subscribed(2, 4));
  stage.socket.say(entry(3));
  assert.equal(live.state, 'catching-up');
  stage.socket.say(entry(4));
  await stage.settle();
  assert.equal(live.state, 'live');
  assert.equal(away.length, 1);
  assert.deepEqual({ ...away[0], since: '' },
    { topic: 'harbour', since: '', changes: 2, entries: 2, key: 1, corrections: 0, retractions: 0 });
  assert.ok(Math.abs(Date.parse(away[0]!.since) - asleep) <= 1500);
});

test('also where what wakes it first is the news that its connection is gone', async () => {
  await goLive();
  const away: Away[] = [];
  live.on('away', (told) => away.push(told));
  const asleep = stage.now;
  const ends = stage.sleep(3_600_000);
  stage.socket.end(1006);
  await ends;
  await stage.until(() => stage.sockets.length === 2);
  await stage.next();
  stage.socket.say(subscribed(2, 3));
  stage.socket.say(entry(3));
  await stage.settle();
  assert.equal(live.state, 'live');
  assert.equal(away.length, 1);
  assert.ok(Math.abs(Date.parse(away[0]!.since) - asleep) <= 1500);
});

test('also where what wakes it first is what came for it meanwhile', async () => {
  await goLive();
  const away: Away[] = [];
  live.on('away', (told) => away.push(told));
  const asleep = stage.now;
  const ends = stage.sleep(3_600_000);
  stage.socket.say(entry(3));
  await ends;
  await stage.until(() => stage.sockets.length === 2);
  assert.deepEqual(await stage.next(), { op: 'subscribe', topic: 'harbour', after: 'epoch1-3' });
  stage.socket.say(subscribed(3, 4));
  stage.socket.say(entry(4));
  await stage.settle();
  assert.equal(live.state, 'live');
  assert.equal(away.length, 1);
  assert.equal(away[0]!.changes, 2);
  assert.ok(Math.abs(Date.parse(away[0]!.since) - asleep) <= 1500);
});

test('a nap of timers in a hidden page is no sleep', async () => {
  await goLive();
  stage.document.hidden = true;
  await stage.sleep(60_000);
  await stage.pass(50);
  assert.equal(stage.sockets.length, 1);
  assert.equal(live.state, 'live');
});

test('a page that is looked at again asks whether its connection lives', async () => {
  await goLive();
  stage.window.dispatchEvent(new Event('visibilitychange'));
  assert.deepEqual(await stage.next(), { op: 'ping' });
  stage.socket.say({ op: 'pong' });
  await stage.pass(10_000);
  assert.equal(stage.sockets.length, 1, 'it lives');
  stage.window.dispatchEvent(new Event('visibilitychange'));
  assert.deepEqual(await stage.next(), { op: 'ping' });
  await stage.until(() => stage.sockets.length === 2);
  assert.deepEqual(await stage.next(), { op: 'subscribe', topic: 'harbour', after: 'epoch1-2' });
});

test('a network that comes back is not waited for', async () => {
  await goLive();
  stage.refusesSockets = true;
  stage.socket.end(1006);
  await stage.until(() => live.state === 'offline');
  await stage.until(() => stage.sockets.length > 6);
  stage.refusesSockets = false;
  const count = stage.sockets.length;
  stage.window.dispatchEvent(new Event('online'));
  await stage.pass(50);
  assert.equal(stage.sockets.length, count + 1);
});

test('but what the broker advised is, also then', async () => {
  await goLive();
  stage.socket.end(4001, '20000');
  await stage.pass(1000);
  stage.window.dispatchEvent(new Event('online'));
  await stage.pass(15_000);
  assert.equal(stage.sockets.length, 1);
  await stage.pass(5000);
  assert.equal(stage.sockets.length, 2);
});

test('a connection that says nothing for long is asked, and given up without an answer', async () => {
  await goLive();
  await stage.pass(49_000);
  assert.equal(stage.said.length, 0);
  assert.deepEqual(await stage.next(), { op: 'ping' });
  await stage.until(() => stage.sockets.length === 2);
});

test('an event stream that died without a word is given up', async () => {
  live = connect({ url: 'https://live.example', topic: 'harbour', after: 'epoch1-2', transport: 'sse' });
  const stream = new Stream();
  (await stage.request()).answer(stream.response);
  stream.block({ retry: '2000', '': 'head 2', id: 'epoch1-2' });
  for (let count = 0; count < 10; count++) {
    stream.write(':\n\n');
    await stage.pass(15_000);
  }
  assert.equal(live.state, 'live');
  const since = stage.now;
  const { url } = await stage.request();
  assert.equal(url.searchParams.get('after'), 'epoch1-2');
  assert.ok(stage.now - since < 60_000);
});

test('a page that goes into the back-forward cache lets go, and comes back where it was', async () => {
  await goLive();
  stage.window.dispatchEvent(new Event('pagehide'));
  assert.equal(stage.socket.readyState, 3);
  stage.window.dispatchEvent(new Event('pageshow'));
  assert.deepEqual(await stage.next(), { op: 'subscribe', topic: 'harbour', after: 'epoch1-2' });
  stage.socket.say(subscribed(2, 2));
  await stage.settle();
  assert.equal(live.state, 'live');
});

test('a connection that never answers gives way to the next transport', async () => {
  live = connect({ url: 'https://live.example', topic: 'harbour', after: 'epoch1-2' });
  await stage.next();
  const asked = await stage.request();
  assert.equal(asked.url.pathname, '/v1/topics/harbour/stream');
  asked.answer(json(404, {}));
  const poll = await stage.request();
  assert.equal(poll.url.pathname, '/v1/topics/harbour/changes');
});
