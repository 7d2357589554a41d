/**
 * What may stand between a page and the broker: passes everything on, or refuses WebSockets, holds event streams back,
 * or is down. It also counts what it carries. On an origin of its own, so it serves the test's page as well.
 */
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Broker } from './broker.js';

const LIBRARY = fileURLToPath(new URL('../../dist/tenbells.iife.js', import.meta.url));

/** `pass`: on to the broker. `refuse`: 403. `hold`: taken, and never answered. */
export type Treatment = 'pass' | 'refuse' | 'hold';

/** A page with the library and nothing else. */
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Newsroom</title><link rel="icon" href="data:,">
<script src="/tenbells.iife.js"></script><p>A newsroom's page</p></html>`;

export class Middlebox {
  /** How each kind of request is treated from now on. */
  websocket: Treatment = 'pass';
  stream: Treatment = 'pass';
  poll: Treatment = 'pass';
  /** Requests so far, by kind. */
  readonly asked = { websocket: 0, stream: 0, poll: 0 };
  /** Every request line, for what must not be in one. */
  readonly lines: string[] = [];
  /** Paths that the test answers itself. */
  readonly answers = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>();
  url = '';
  private readonly open = new Set<Socket>();
  private readonly pairs = new Set<[Socket, Socket]>();
  private readonly server: Server;

  private constructor(private readonly broker: Broker) {
    this.server = createServer((incoming, response) => this.take(incoming, response));
    this.server.on('connection', (socket) => this.keep(socket));
    this.server.on('upgrade', (incoming, socket: Socket, head) => this.upgrade(incoming, socket, head));
  }

  /** Starts it in front of a broker. */
  static async start(broker: Broker): Promise<Middlebox> {
    const box = new Middlebox(broker);
    await box.listen(0);
    return box;
  }

  /** Cuts everything that is open, and takes nothing more. */
  async goDown(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.cut();
    await closed;
  }

  /** Takes connections again, on the same port. */
  async comeUp(): Promise<void> {
    await this.listen(Number(new URL(this.url).port));
  }

  /** Cuts everything that is open. */
  cut(): void {
    for (const socket of this.open) socket.destroy();
  }

  /** Lets every WebSocket that is open stand as it is: nothing gets through any more, and nobody is told. */
  mute(): void {
    for (const pair of this.pairs) for (const socket of pair) socket.unpipe().pause();
  }

  private async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', resolve);
    });
    const address = this.server.address();
    if (typeof address === 'object' && address) this.url = `http://127.0.0.1:${address.port}`;
  }

  private keep(socket: Socket): void {
    this.open.add(socket);
    // A peer that goes is what a middlebox lives with.
    socket.on('error', () => {});
    socket.on('close', () => this.open.delete(socket));
  }

  private take(incoming: IncomingMessage, response: ServerResponse): void {
    const path = incoming.url ?? '/';
    this.lines.push(`${incoming.method} ${path}`);
    const answer = this.answers.get(path.split('?')[0]!);
    if (answer) return answer(incoming, response);
    if (path.startsWith('/newsroom')) return void response.writeHead(200, { 'Content-Type': 'text/html' }).end(PAGE);
    if (path === '/tenbells.iife.js') {
      return void response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(readFileSync(LIBRARY));
    }
    const kind = path.includes('/stream') ? 'stream' : path.includes('/changes') ? 'poll' : undefined;
    if (kind) {
      this.asked[kind]++;
      if (this[kind] === 'hold') return;
      if (this[kind] === 'refuse') return void response.writeHead(403).end('Blocked by policy');
    }
    this.pass(incoming, response);
  }

  /**
   * Passes a request on to the broker. `lose` cuts the connection in place of giving the answer back; a function is called
   * once the answer is here, and the connection is cut when it is done.
   */
  pass(incoming: IncomingMessage, response: ServerResponse, reply: 'give' | 'lose' | (() => Promise<void>) = 'give'): void {
    const path = incoming.url ?? '/';
    const onward = request(this.broker.url + path, { method: incoming.method, headers: incoming.headers }, (answer) => {
      const cut = (): void => void response.destroy();
      if (reply === 'lose') return void answer.resume().on('end', cut);
      if (reply !== 'give') return void answer.resume().on('end', () => void reply().finally(cut));
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    incoming.pipe(onward);
  }

  private upgrade(incoming: IncomingMessage, socket: Socket, head: Buffer): void {
    this.lines.push(`${incoming.method} ${incoming.url}`);
    this.asked.websocket++;
    if (this.websocket === 'hold') return;
    if (this.websocket === 'refuse') return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    const { hostname, port } = new URL(this.broker.url);
    const onward = connect(Number(port), hostname, () => {
      const fields = incoming.rawHeaders.reduce((text, part, index) => text + part + (index % 2 ? '\r\n' : ': '), '');
      onward.write(`GET ${incoming.url} HTTP/1.1\r\n${fields}\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    this.keep(onward);
    const pair: [Socket, Socket] = [socket, onward];
    this.pairs.add(pair);
    onward.on('close', () => socket.destroy());
    socket.on('close', () => {
      this.pairs.delete(pair);
      onward.destroy();
    });
  }
}
