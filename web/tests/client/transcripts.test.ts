/**
 * Recorded conversations on the wire, played against the client library: given what the broker says, the library says
 * exactly what was recorded, and gives its page what the transcript says. The broker is held against the same files, from
 * the other side (tests/it/transcripts.rs).
 *
 * `lost`: what the broker said did not arrive. `twice`: it arrived twice.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, type Change, type Live, type Reset, type Transport, type Trouble } from 'tenbells';
import { json, Stage, Stream, type Asked } from '../support/stage.js';

declare const REPOSITORY: string;

interface Step {
  reader?: Record<string, unknown>;
  broker?: Record<string, any>;
  lost?: boolean;
  twice?: boolean;
  close?: { code?: number; reason?: string };
  cut?: boolean;
}

interface Transcript {
  about: string;
  topic: string;
  transport: Transport;
  after?: string;
  steps: Step[];
  given: {
    changes: number[];
    kinds?: string[];
    resets?: Reset[];
    errors?: Partial<Trouble>[];
    position?: string;
    state: string;
  };
}

const FOLDER = join(REPOSITORY, 'tests/transcripts');

/** The broker's side of a conversation. */
class Conversation {
  #stream: Stream | undefined;
  #asked: Asked | undefined;
  #notBefore = 0;

  constructor(private readonly stage: Stage) {}

  async take(step: Step): Promise<void> {
    if (step.reader) await this.#hear(step.reader);
    else if (step.broker) for (let count = step.lost ? 0 : step.twice ? 2 : 1; count > 0; count--) this.#say(step.broker);
    else if (step.cut) this.stage.socket.end(1006);
    else if (step.close) this.#close(step.close);
    await this.stage.settle();
  }

  async #hear(recorded: Record<string, unknown>): Promise<void> {
    assert.deepEqual(await this.stage.next(), recorded);
    assert.ok(this.stage.now >= this.#notBefore, 'it comes back before the time that the broker named');
    if (!recorded['get']) return;
    this.#asked = this.stage.asked.shift()!;
    this.#stream = undefined;
  }

  #say(said: Record<string, any>): void {
    if (said['op']) return this.stage.socket.say(said);
    if (said['status']) {
      const { status, body, head } = said;
      return this.#asked!.answer(json(status, body, head === undefined ? {} : { 'Tenbells-Head': head }));
    }
    if (!this.#stream) {
      this.#stream = new Stream();
      this.#asked!.answer(this.#stream.response);
    }
    this.#stream.block(said);
  }

  #close({ code, reason = '' }: { code?: number; reason?: string }): void {
    if (code === undefined) return this.#stream!.end();
    this.#notBefore = this.stage.now + Number(reason || 0);
    this.stage.socket.end(code, reason);
  }
}

const files = readdirSync(FOLDER).filter((file) => file.endsWith('.json')).sort();
assert.ok(files.length > 10, `transcripts: ${files}`);

for (const file of files) {
  const transcript = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Transcript;
  test(`${file}: ${transcript.about}`, async () => {
    const stage = new Stage();
    let live: Live | undefined;
    try {
      const { topic, transport, after, given } = transcript;
      live = connect({ url: 'https://live.example', topic, transport, ...(after ? { after } : {}) });
      const changes: Change[] = [];
      const resets: Reset[] = [];
      const errors: Trouble[] = [];
      live.on('change', (change) => changes.push(change));
      live.on('reset', (reset) => resets.push(reset));
      live.on('error', (error) => errors.push(error));
      const conversation = new Conversation(stage);
      for (const step of transcript.steps) await conversation.take(step);
      assert.deepEqual(changes.map(({ offset }) => offset), given.changes);
      if (given.kinds) assert.deepEqual(changes.map(({ kind }) => kind), given.kinds);
      assert.deepEqual(resets, given.resets ?? []);
      const expected = given.errors ?? [];
      assert.equal(errors.length, expected.length);
      errors.forEach((error, index) => assert.deepEqual({ ...error, ...expected[index] }, error));
      assert.equal(live.state, given.state);
      assert.equal(live.position(topic), given.position);
      // The page is given what the broker said, to the letter.
      const said = transcript.steps.flatMap(({ broker }) => changesIn(broker));
      for (const change of changes) assert.ok(said.includes(JSON.stringify(change)), JSON.stringify(change));
    } finally {
      live?.close();
      stage.end();
    }
  });
}

/** The changes in what the broker said, as the page gets them. */
function changesIn(broker: Step['broker']): string[] {
  const { op, data, body, ...rest } = broker ?? {};
  if (op === 'change') return [JSON.stringify(rest)];
  return [...(body?.changes ?? []), ...(data?.kind ? [data] : [])].map((change) => JSON.stringify(change));
}
