/** When the library comes back: what the broker advises, back-off with full jitter where it advises nothing, and never where it refuses. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { connect, type Live, type Options, type Trouble } from 'tenbells';
import { backoff } from '../../client/src/backoff.js';
import { json, Stage, Stream } from '../support/stage.js';

const SUBSCRIBED = { op: 'subscribed', topic: 'harbour', position: 'epoch1-2', head: 2 };
const MINUTE = 60_000;

let stage: Stage;
let live: Live;
let errors: Trouble[];

beforeEach(() => (stage = new Stage()));
afterEach(() => {
  live?.close();
  mock.restoreAll();
  stage.end();
});

/** Follows the blog. `chance` is what every throw of the dice gives. */
function follow(options: Partial<Options> = {}, chance = 0.99): void {
  mock.method(Math, 'random', () => chance);
  live = connect({ url: 'https://live.example', topic: 'harbour', after: 'epoch1-2', ...options });
  errors = [];
  live.on('error', (error) => errors.push(error));
}

/** Connects by WebSocket, and is live. */
async function goLive(options: Partial<Options> = {}, chance?: number): Promise<void> {
  follow({ transport: 'websocket', ...options }, chance);
  await stage.next();
  stage.socket.say(SUBSCRIBED);
  await stage.settle();
  assert.equal(live.state, 'live');
}

/** How long it takes until the next connection. */
async function untilNext(): Promise<number> {
  const since = stage.now;
  const count = stage.sockets.length;
  await stage.until(() => stage.sockets.length > count);
  return stage.now - since;
}

test('a drain names the time, which is spread already: not earlier, and hardly later', async () => {
  await goLive();
  stage.socket.end(4001, '7300');
  const waited = await untilNext();
  assert.ok(waited >= 7300 && waited < 7500, `${waited} ms`);
});

test('advice is bounded, and what is no number is none', async () => {
  await goLive();
  stage.socket.end(4001, '999999999');
  const waited = await untilNext();
  assert.ok(waited >= 120_000 && waited < 120_200, `${waited} ms`);
  stage.socket.say(SUBSCRIBED);
  await stage.pass(6000);
  stage.socket.end(4001, 'soon');
  assert.ok((await untilNext()) <= 1000);
});

for (const code of [4501, 4502, 4503, 4999]) {
  test(`close code ${code} is the end`, async () => {
    await goLive();
    stage.socket.end(code, 'because');
    await stage.pass(5 * MINUTE);
    assert.equal(stage.sockets.length, 1);
    assert.equal(live.state, 'closed');
    assert.deepEqual(errors, [{ code: String(code), message: 'because', fatal: true }]);
  });
}

for (const code of [1000, 1006, 1011, 4002, 4003, 4499]) {
  test(`close code ${code} is a reason to come back`, async () => {
    await goLive();
    stage.socket.end(code);
    assert.ok((await untilNext()) <= 1000);
    assert.deepEqual(await stage.next(), { op: 'subscribe', topic: 'harbour', after: 'epoch1-2' });
  });
}

test('attempts in vain come at exponential steps with full jitter, and go on for ever', async () => {
  stage.refusesSockets = true;
  follow({ transport: 'websocket' }, 0.999);
  const waits: number[] = [];
  for (let count = 0; count < 8; count++) waits.push(Math.round((await untilNext()) / 1000));
  assert.deepEqual(waits.slice(1), [1, 2, 4, 8, 16, 30, 30].slice(0, 7));
  assert.equal(live.state, 'offline');
});

test('full jitter goes down to nothing at all', () => {
  assert.equal(backoff(3, 1000, () => 0), 0);
  assert.equal(backoff(3, 1000, () => 0.5), 4000);
  assert.equal(backoff(30, 1000, () => 0.5), 15_000);
});

test('a connection that did not last does not begin anew with short waits', async () => {
  await goLive({}, 0.999);
  const waits: number[] = [];
  for (let count = 0; count < 4; count++) {
    stage.socket.end(1006);
    waits.push(Math.round((await untilNext()) / 1000));
    stage.socket.say(SUBSCRIBED);
    await stage.settle();
  }
  assert.deepEqual(waits, [1, 2, 4, 8]);
  await stage.pass(6000);
  stage.socket.end(1006);
  assert.equal(Math.round((await untilNext()) / 1000), 1);
});

for (const transport of ['sse', 'poll'] as const) {
  test(`${transport}: Retry-After of a busy broker is heeded`, async () => {
    follow({ transport });
    const problem = { code: 'unavailable', detail: 'the broker is full' };
    (await stage.request()).answer(json(503, problem, { 'Retry-After': '9' }));
    const since = stage.now;
    await stage.request();
    assert.ok(stage.now - since >= 9000 && stage.now - since < 9200, `${stage.now - since} ms`);
    assert.deepEqual(errors, []);
  });

  test(`${transport}: a proxy's page is an accident, a refusal of the broker is not`, async () => {
    follow({ transport });
    (await stage.request()).answer(new Response('<h1>Bad gateway</h1>', { status: 502 }));
    const again = await stage.request();
    assert.equal(live.state, 'connecting');
    again.answer(json(403, { code: 'origin_refused', detail: 'not on the list' }));
    await stage.pass(MINUTE);
    assert.equal(stage.asked.length, 0);
    assert.equal(live.state, 'closed');
    assert.deepEqual(errors.map(({ code, fatal }) => [code, fatal]), [['origin_refused', true]]);
  });
}

test('sse: the retry of the stream is the first step of the back-off', async () => {
  follow({ transport: 'sse' }, 0.99);
  const asked = await stage.request();
  const stream = new Stream();
  asked.answer(stream.response);
  stream.block({ retry: '6000', '': 'head 2', id: 'epoch1-2' });
  await stage.pass(6000);
  assert.equal(live.state, 'live');
  const since = stage.now;
  stream.end();
  await stage.request();
  const waited = stage.now - since;
  assert.ok(waited > 5800 && waited <= 6000, `${waited} ms`);
});

test('poll: an answer that did not wait makes no storm of questions', async () => {
  follow({ transport: 'poll' }, 0.5);
  let questions = 0;
  const end = stage.now + 30_000;
  while (stage.now < end) {
    for (const asked of stage.asked.splice(0)) {
      questions++;
      asked.answer(json(200, { topic: 'harbour', changes: [], position: 'epoch1-2' }, { 'Tenbells-Head': '2' }));
    }
    await stage.pass(50);
  }
  assert.ok(questions <= 17, `${questions} questions in 30 s`);
});
