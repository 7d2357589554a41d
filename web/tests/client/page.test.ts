/** What a page gets and gives: positions that are kept, the iterator, keys and tickets, and options that are refused. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { connect, type Live, type Options, type Trouble } from 'tenbells';
import { eventStream, type Block } from '../../client/src/eventstream.js';
import { json, Stage } from '../support/stage.js';

const URL = 'https://live.example';
const KEPT = `tenbells:${URL}:harbour`;
const change = (offset: number) =>
  ({ op: 'change', topic: 'harbour', offset, at: '', kind: 'entry.retracted', id: `e${offset}` });
const subscribed = (offset: number, head = offset) =>
  ({ op: 'subscribed', topic: 'harbour', position: `epoch1-${offset}`, head });

let stage: Stage;
let live: Live;
let errors: Trouble[];

beforeEach(() => (stage = new Stage()));
afterEach(() => {
  live?.close();
  stage.end();
});

function follow(options: Partial<Options> = {}): void {
  live = connect({ url: URL, topic: 'harbour', transport: 'websocket', ...options });
  errors = [];
  live.on('error', (error) => errors.push(error));
}

test('a position is kept in sessionStorage, and a page that is loaded anew goes on there', async () => {
  follow();
  assert.deepEqual(await stage.next(), { op: 'subscribe', topic: 'harbour' });
  stage.socket.say(subscribed(2));
  stage.socket.say(change(3));
  await stage.pass(1000);
  assert.equal(stage.stored.get(KEPT), 'epoch1-3');
  live.close();
  follow();
  assert.deepEqual(await stage.next(), { op: 'subscribe', topic: 'harbour', after: 'epoch1-3' });
  live.close();
  follow({ after: 'epoch1-1' });
  assert.deepEqual(await stage.next(), { op: 'subscribe', topic: 'harbour', after: 'epoch1-1' });
});

test('a page that wants none keeps none, and a browser that refuses costs no more than that', async () => {
  follow({ storage: false });
  await stage.next();
  stage.socket.say(subscribed(2));
  await stage.pass(1000);
  assert.equal(stage.stored.size, 0);
  live.close();
  Object.defineProperty(globalThis, 'sessionStorage', { get: () => { throw new Error('denied'); }, configurable: true });
  follow();
  await stage.next();
  stage.socket.say(subscribed(2));
  stage.socket.say(change(3));
  await stage.pass(1000);
  assert.equal(live.position('harbour'), 'epoch1-3');
});

test('an iterator whose reader is too slow ends with an error behind what it has, and never skips', async () => {
  follow({ buffer: 2 });
  await stage.next();
  stage.socket.say(subscribed(0));
  const slow = live.changes();
  const fast = live.changes();
  const taken: number[] = [];
  const reading = (async () => {
    for await (const { offset } of fast) taken.push(offset);
  })();
  for (const offset of [1, 2, 3, 4]) {
    stage.socket.say(change(offset));
    await stage.settle();
  }
  assert.equal((await slow.next()).value.offset, 1);
  assert.equal((await slow.next()).value.offset, 2);
  await assert.rejects(slow.next(), /more than 2 changes waited/);
  live.close();
  await reading;
  assert.deepEqual(taken, [1, 2, 3, 4]);
});

test('a reader that leaves its loop lets go of its buffer', async () => {
  follow({ buffer: 1 });
  await stage.next();
  stage.socket.say(subscribed(0));
  const leaving = (async () => {
    for await (const { offset } of live.changes()) return offset;
    return undefined;
  })();
  stage.socket.say(change(1));
  assert.equal(await leaving, 1);
  for (const offset of [2, 3, 4]) stage.socket.say(change(offset));
  assert.equal(live.position('harbour'), 'epoch1-4');
});

test('a fault of one listener costs the others nothing', async () => {
  follow();
  await stage.next();
  const seen: number[] = [];
  const faults: unknown[] = [];
  process.once('uncaughtException', (fault) => faults.push(fault));
  live.on('change', () => {
    throw new Error('a fault of the page');
  });
  const stop = live.on('change', ({ offset }) => seen.push(offset));
  stage.socket.say(subscribed(0));
  stage.socket.say(change(1));
  await stage.pass(50).catch((fault: unknown) => faults.push(fault));
  assert.match(String(faults), /a fault of the page/, 'the page hears of it');
  stop();
  assert.deepEqual(seen, [1]);
  assert.equal(live.position('harbour'), 'epoch1-1');
});

test('a key goes into a message or a header field, and into no URL', async () => {
  const token = 'tb_7h2k9x0a_secret';
  follow({ token });
  assert.deepEqual(await stage.next(), { op: 'auth', token });
  assert.deepEqual(await stage.next(), { op: 'subscribe', topic: 'harbour' });
  assert.ok(!stage.socket.url.includes('secret'));
  live.close();
  for (const transport of ['sse', 'poll'] as const) {
    follow({ token, transport });
    const { url, headers } = await stage.request();
    assert.equal(headers.get('authorization'), `Bearer ${token}`);
    assert.ok(!url.href.includes('secret'));
    live.close();
  }
  assert.ok(![...stage.stored.values()].join().includes('secret'));
});

test('a ticket is asked for before each connection, for the topics that are followed', async () => {
  const asked: string[][] = [];
  const ticket = async (topics: string[]): Promise<string> => `tk_${asked.push(topics)}`;
  follow({ ticket, topics: ['harbour', 'pier'] , topic: undefined });
  await stage.next();
  assert.equal(stage.socket.url, 'wss://live.example/v1/ws?ticket=tk_1');
  stage.socket.say(subscribed(2));
  await stage.settle();
  stage.socket.end(1006);
  await stage.until(() => stage.sockets.length === 2);
  assert.equal(stage.socket.url, 'wss://live.example/v1/ws?ticket=tk_2');
  assert.deepEqual(asked, [['harbour', 'pier'], ['harbour', 'pier']]);
  live.close();
  follow({ ticket, transport: 'sse' });
  const { url } = await stage.request();
  assert.equal(url.searchParams.get('ticket'), 'tk_3');
});

test('a ticket that came too late is followed by another one, but not for ever', async () => {
  let count = 0;
  follow({ ticket: async () => `tk_${++count}` });
  for (let attempt = 1; attempt <= 3; attempt++) {
    await stage.until(() => stage.sockets.length === attempt);
    await stage.settle();
    assert.notEqual(live.state, 'closed');
    stage.socket.end(4501, 'the ticket is used');
  }
  await stage.pass(300_000);
  assert.equal(stage.sockets.length, 3);
  assert.equal(live.state, 'closed');
  assert.deepEqual(errors, [{ code: '4501', message: 'the ticket is used', fatal: true }]);
});

test('where there is no ticket to be had it says so, and goes on trying', async () => {
  let isDown = true;
  const ticket = async (): Promise<string> => {
    if (isDown) throw new Error('the newsroom is down');
    return 'tk_good';
  };
  follow({ ticket });
  await stage.until(() => errors.length > 1);
  assert.equal(stage.sockets.length, 0);
  assert.deepEqual(errors[0], { code: 'ticket_failed', message: 'Error: the newsroom is down', fatal: false });
  isDown = false;
  await stage.until(() => stage.sockets.length === 1);
  assert.equal(stage.socket.url, 'wss://live.example/v1/ws?ticket=tk_good');
});

test('bad options are refused by name', () => {
  const refused = (options: object, name: RegExp): void => {
    assert.throws(() => connect({ url: URL, ...options }), (error) => error instanceof TypeError && name.test(error.message));
  };
  refused({}, /topics/);
  refused({ topics: Array.from({ length: 33 }, (_, number) => `t${number}`) }, /topics/);
  refused({ topic: 'Harbour' }, /topic Harbour/);
  refused({ topic: 'harbour', url: 'ftp://live.example' }, /url/);
  refused({ topic: 'harbour', url: 'https://live.example?x' }, /url/);
  refused({ topic: 'harbour', after: 'epoch1' }, /after epoch1/);
  refused({ topic: 'harbour', transport: 'carrier-pigeon' }, /transport/);
  refused({ topic: 'harbour', token: 'tb_x', ticket: async () => '' }, /ticket/);
  refused({ topic: 'harbour', awayAfter: -1 }, /awayAfter/);
  refused({ topic: 'harbour', buffer: 0 }, /buffer/);
});

test('what is no message of the protocol is left out', async () => {
  follow();
  await stage.next();
  stage.socket.say(subscribed(2));
  for (const text of ['', 'null', '7', '[]', '{"op":"what"}', '{"op":"change"}', '{"op":"change","topic":"harbour","offset":"x"}',
    '{"op":"subscribed","topic":"pier","position":"epoch1-9","head":9}', 'no JSON']) {
    stage.socket.say(text);
    await stage.settle();
  }
  assert.equal(live.position('harbour'), 'epoch1-2');
});

test('an event stream may arrive in any pieces', () => {
  const text = 'retry: 2000\n: head 44\nid: k-42\n\n:\n\nid: k-43\nevent: e\ndata: {"a": "b: c\u2014é"}\n\n';
  const whole: Block[] = [];
  eventStream((block) => whole.push(block))(text);
  assert.deepEqual(whole[0], { retry: '2000', '': 'head 44', id: 'k-42' });
  assert.deepEqual(whole[2], { id: 'k-43', event: 'e', data: '{"a": "b: c\u2014é"}' });
  for (let cut = 1; cut < text.length; cut++) {
    const blocks: Block[] = [];
    const feed = eventStream((block) => blocks.push(block));
    feed(text.slice(0, cut));
    feed(text.slice(cut));
    assert.deepEqual(blocks, whole, `cut at ${cut}`);
  }
});

test('a topic that one connection may not have ends that topic alone', async () => {
  follow({ topics: ['harbour', 'pier'], topic: undefined, transport: 'poll' });
  const [one, other] = [await stage.request(), await stage.request()];
  one.answer(json(404, { code: 'topic_not_found', detail: 'there is no such topic' }));
  other.answer(json(200, { topic: 'pier', changes: [], position: 'epoch2-7' }, { 'Tenbells-Head': '7' }));
  await stage.until(() => live.state === 'live');
  assert.deepEqual(errors.map(({ code, topic, fatal }) => [code, topic, fatal]), [['topic_not_found', 'harbour', true]]);
  assert.equal(live.position('pier'), 'epoch2-7');
});
