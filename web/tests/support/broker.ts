/**
 * The real broker as a process: a data folder and keys of its own, an address that it keeps over a restart, and the calls
 * of a publisher. `TENBELLS_BIN` names another binary than target/debug/tenbells.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const BINARY = process.env['TENBELLS_BIN'] ?? fileURLToPath(new URL('../../../target/debug/tenbells', import.meta.url));
/** How long anything may take before it counts as lost, in ms. */
const PATIENCE = 20_000;

export type Role = 'reader' | 'publisher' | 'desk' | 'admin';

/** An answer of the broker that was not 2xx. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: { code?: string; detail?: string },
    what: string,
  ) {
    super(`${what}: ${status} ${problem.code ?? ''} ${problem.detail ?? ''}`);
  }
}

/** A running `tenbells serve`. */
export class Broker {
  /** `http://host:port` of the public listener. */
  readonly url: string;
  /** `http://host:port` of health and metrics. */
  readonly admin: string;
  /** A desk key for all topics. */
  key = '';
  private process: ChildProcess | undefined;
  private said: string[] = [];

  private constructor(
    readonly folder: string,
    private readonly listen: string,
    private readonly adminListen: string,
  ) {
    this.url = `http://${listen}`;
    this.admin = `http://${adminListen}`;
  }

  /** Starts it on a fresh folder. `config` is the text of a configuration file (TOML). */
  static async start(config = ''): Promise<Broker> {
    const folder = await mkdtemp(join(tmpdir(), 'tenbells-web-'));
    const broker = new Broker(folder, await freeAddress(), await freeAddress());
    // `{url}` in it is its own address.
    await writeFile(join(folder, 'tenbells.toml'), config.replaceAll('{url}', broker.url));
    await broker.start();
    broker.key = await broker.createKey('desk', '*');
    return broker;
  }

  /** Starts it again on the same folder and address, once it has ended. */
  async start(): Promise<void> {
    const child = spawn(
      BINARY,
      ['serve', '--config', join(this.folder, 'tenbells.toml'), '--data-dir', join(this.folder, 'data'),
        '--listen', this.listen, '--admin-listen', this.adminListen, '--log-format', 'json'],
      { stdio: ['ignore', 'ignore', 'pipe'], env: environment() },
    );
    this.process = child;
    const lines = createInterface({ input: child.stderr! });
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the broker is not ready:\n${this.log()}`)), PATIENCE);
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`the broker ended with ${code}:\n${this.log()}`)));
      lines.on('line', (line) => {
        this.said.push(line);
        if (line.includes('"tenbells is ready"')) {
          clearTimeout(late);
          resolve();
        }
      });
    });
  }

  /** What it has written to its log. */
  log(): string {
    return this.said.join('\n');
  }

  /** `kill -9`; returns once it is gone. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Stops it in good order (readers are told when to come back); returns once it is gone. */
  async terminate(): Promise<void> {
    await this.end('SIGTERM');
  }

  /** Ends it for good, and removes its folder. */
  async stop(): Promise<void> {
    await this.end('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Copies what it has, while it runs, to a file; gives its name. */
  async backup(): Promise<string> {
    const file = join(this.folder, 'backup.db');
    await this.tool('backup', file, '--data-dir', join(this.folder, 'data'));
    return file;
  }

  /** Ends it and puts the state of a backup in place: what came later is gone, and every topic has a new epoch. */
  async restore(file: string): Promise<void> {
    await this.terminate();
    await rm(join(this.folder, 'data'), { recursive: true });
    await this.tool('restore', file, '--data-dir', join(this.folder, 'data'));
  }

  /** Makes a key for topics of this glob. */
  async createKey(role: Role, topics: string): Promise<string> {
    return (await this.tool('keys', 'create', '--role', role, '--topics', topics, '--data-dir', join(this.folder, 'data'))).trim();
  }

  /** Takes the key away that this token is. */
  async revokeKey(token: string): Promise<void> {
    const id = token.split('_')[1] ?? '';
    await this.tool('keys', 'revoke', id, '--data-dir', join(this.folder, 'data'));
  }

  /** Runs one of its commands; gives what that prints. */
  private async tool(...command: string[]): Promise<string> {
    return (await promisify(execFile)(BINARY, command, { env: environment() })).stdout;
  }

  /** A call with the desk's key, or with another one; gives the JSON of the answer. */
  async call(method: string, path: string, body?: unknown, key = this.key): Promise<any> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(key ? { Authorization: `Bearer ${key}` } : {}),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer = text === '' ? undefined : JSON.parse(text);
    if (!response.ok) throw new Refused(response.status, answer ?? {}, `${method} ${path}`);
    return answer;
  }

  /** Publishes an entry: a text, or the whole entry. Gives `{entry, position}`. */
  publish(topic: string, entry: string | object): Promise<any> {
    const whole = typeof entry === 'string' ? { body: { text: entry } } : entry;
    return this.call('POST', `/v1/topics/${topic}/entries`, whole);
  }

  /** Publishes many entries at once. */
  publishAll(topic: string, entries: readonly (string | object)[]): Promise<any> {
    const whole = entries.map((entry) => (typeof entry === 'string' ? { body: { text: entry } } : entry));
    return this.call('POST', `/v1/topics/${topic}/entries:batch`, { entries: whole });
  }

  /** Revises an entry by a merge patch. */
  revise(topic: string, id: string, patch: object): Promise<any> {
    return this.call('PATCH', `/v1/topics/${topic}/entries/${id}`, patch);
  }

  /** Retracts an entry. */
  retract(topic: string, id: string, reason?: string): Promise<any> {
    return this.call('DELETE', `/v1/topics/${topic}/entries/${id}`, reason === undefined ? undefined : { reason });
  }

  /** Creates a topic, or replaces its fields. */
  putTopic(topic: string, fields: object = {}): Promise<any> {
    return this.call('PUT', `/v1/topics/${topic}`, fields);
  }

  /** Ends a topic. */
  endTopic(topic: string, successor?: object): Promise<any> {
    return this.call('POST', `/v1/topics/${topic}/end`, successor === undefined ? undefined : { successor });
  }

  /** The topic as it is read: `{…, position, head, readers}`. */
  topic(topic: string): Promise<any> {
    return this.call('GET', `/v1/topics/${topic}`);
  }

  /** Every change of a topic, from its first one on. */
  async changes(topic: string): Promise<any[]> {
    const all: any[] = [];
    for (let after = 'start'; ; ) {
      const page = await this.call('GET', `/v1/topics/${topic}/changes?after=${after}&limit=1000`);
      if (page.changes.length === 0) return all;
      all.push(...page.changes);
      after = page.position;
    }
  }

  /** The sum of a metric over its labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.admin}/metrics`)).text();
    let sum: number | undefined;
    for (const line of text.split('\n')) {
      const [, found, value] = /^([a-z_0-9]+)(?:\{.*\})? (\S+)$/.exec(line) ?? [];
      if (found === name) sum = (sum ?? 0) + Number(value);
    }
    if (sum === undefined) throw new Error(`there is no metric ${name}`);
    return sum;
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

/** The environment without settings of a broker: what whoever runs the tests has set is not meant for this one. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TENBELLS_')));
}

let addresses = 0;

/** An address that stays free over a restart: on a host of 127/8 that no other test uses, where there is such a thing. */
async function freeAddress(): Promise<string> {
  const number = process.pid * 64 + ++addresses;
  const own = `127.78.${(number >> 8) & 255}.${(number & 255) % 254 + 1}`;
  for (const host of [own, '127.0.0.1']) {
    const server = createServer();
    const port = await new Promise<number | undefined>((resolve) => {
      server.once('error', () => resolve(undefined));
      server.listen(0, host, () => {
        const address = server.address();
        resolve(typeof address === 'object' && address ? address.port : undefined);
      });
    });
    if (port === undefined) continue;
    await new Promise((resolve) => server.close(resolve));
    return `${host}:${port}`;
  }
  throw new Error('no free address');
}
