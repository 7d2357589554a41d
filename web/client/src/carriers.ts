/** The three transports: each carries messages of the broker to a sink, for one attempt. */
import { advice } from './backoff.js';
import { perTopic, type Carrier, type Line } from './carrier.js';
import { eventStream } from './eventstream.js';
import { parsePosition, type After } from './position.js';
import { parseMessage, parseObject, type Message } from './wire.js';
import type { Change, Transport } from './tenbells.js';

/** How long the broker may keep a long poll, in s. */
const POLL_WAIT = 25;
/** More topics than this are polled without waiting: a browser opens six connections to a host (HTTP/1.1). */
const LONG_POLLS_MAX = 3;

const from = (after: After): string => (after ? `after=${after}` : '');

/** One WebSocket for all topics. */
function webSocket({ url, token, ticket, topics, sink }: Line): Carrier {
  let socket: WebSocket | undefined;
  let isOver = false;
  const send = (message: object): void => {
    if (socket?.readyState === 1) socket.send(JSON.stringify(message));
  };
  const subscribe = (topic: string, after: After): void => send({ op: 'subscribe', topic, after });
  const end = (code: number, reason: string): void => {
    if (isOver) return;
    isOver = true;
    sink.ended({
      delay: code === 4001 ? advice(reason) : undefined,
      refused: code >= 4500 && code < 5000 ? { code: String(code), message: reason, fatal: true } : undefined,
    });
  };
  const open = async (): Promise<void> => {
    const shown = ticket && (await ticket(topics.map(([topic]) => topic)));
    if (isOver) return;
    socket = new WebSocket(
      `${url.replace(/^http/, 'ws')}/v1/ws${shown ? `?ticket=${shown}` : ''}`,
      'tenbells.v1',
    );
    socket.onopen = () => {
      if (token) send({ op: 'auth', token });
      for (const [topic, after] of topics) subscribe(topic, after);
    };
    socket.onmessage = ({ data }) => {
      if (isOver) return;
      sink.heard();
      const message = parseMessage(String(data));
      if (message) sink.message(message);
    };
    socket.onclose = ({ code, reason }) => end(code, reason);
  };
  open().catch(() => end(1006, ''));
  return {
    subscribe(topic, after) {
      // Before it is open it takes the topic along.
      if (socket?.readyState === 1) return subscribe(topic, after);
      topics = [...topics.filter(([name]) => name !== topic), [topic, after]];
    },
    unsubscribe(topic) {
      topics = topics.filter(([name]) => name !== topic);
      send({ op: 'unsubscribe', topic });
    },
    ping: () => send({ op: 'ping' }),
    close() {
      isOver = true;
      socket?.close();
    },
  };
}

/** An event stream for each topic. */
function sse(line: Line): Carrier {
  const { sink } = line;
  return perTopic(line, async (topic, after, get) => {
    const response = await get(`stream?${from(after)}`);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let base: number | undefined;
    let head = 0;
    const feed = eventStream(({ event, data, id, retry, '': comment }) => {
      const value = parseObject(data ?? '');
      if (retry) {
        base = advice(retry);
        head = +comment!.slice(5);
      }
      if (event === 'reset') sink.message({ ...value, op: event } as Message);
      if (event === 'reset' || retry) sink.message({ op: 'subscribed', topic, position: id!, head });
      else if (event === 'presence') sink.message(value as Message);
      else if (value) sink.message({ op: 'change', epoch: parsePosition(id)?.epoch, change: value as unknown as Change });
    });
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { base };
      sink.heard();
      feed(value);
    }
  });
}

/** Long polls, one after the other, for each topic. */
function poll(line: Line): Carrier {
  const { sink } = line;
  return perTopic(line, async (topic, after, get) => {
    let ticket: string | undefined;
    let position = after;
    for (let isFirst = true; ; isFirst = false) {
      const began = Date.now();
      const wait = isFirst || line.topics.length > LONG_POLLS_MAX ? 0 : POLL_WAIT;
      const response = await get(`changes?wait=${wait}&${from(position)}`, ticket);
      // Each answer to a ticket brings the next one.
      ticket = response.headers.get('tenbells-ticket') ?? undefined;
      const page = (await response.json()) as { position: string; changes: Change[]; reset?: object };
      const epoch = parsePosition(page.position)?.epoch;
      sink.heard();
      if (page.reset) sink.message({ ...page.reset, op: 'reset', topic } as Message);
      if (isFirst || page.reset) {
        const start = position === 'start' ? `${epoch}-0` : position;
        const head = Number(response.headers.get('tenbells-head'));
        sink.message({ op: 'subscribed', topic, position: page.reset || !start ? page.position : start, head });
      }
      for (const change of page.changes) sink.message({ op: 'change', epoch, change });
      position = page.position;
      // An answer that did not wait must not make a storm of questions.
      if (!isFirst && !page.changes.length && Date.now() - began < 1000) {
        await new Promise((resolve) => setTimeout(resolve, 1000 + Math.random() * 2000));
      }
    }
  });
}

export const CARRIERS: Record<Transport, (line: Line) => Carrier> = { websocket: webSocket, sse, poll };
