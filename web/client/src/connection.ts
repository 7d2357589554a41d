/**
 * One connection to the broker, kept up: chooses the transport, tries again, falls on to the next and comes back to
 * WebSocket, and knows for each topic from where to resume. It gives every message on, in the order of each topic; it
 * may repeat changes, never skip one. Knows nothing of tabs, listeners or storage.
 */
import { backoff } from './backoff.js';
import { FINAL, type Carrier, type End } from './carrier.js';
import { CARRIERS } from './carriers.js';
import { earlier, parsePosition, type After } from './position.js';
import { take, type Track } from './track.js';
import type { Ready } from './options.js';
import type { Change, Transport, Trouble } from './tenbells.js';
import type { Link, Message, Wire } from './wire.js';

/** How long an attempt may take until something arrives, in ms. */
const FIRST_MESSAGE = 8000;
/** How long nothing may arrive, in ms: a WebSocket is asked then whether it lives, the others end. */
const SILENCE = 50_000;
/** How long the answer to that may take, in ms. */
const ANSWER = 4000;
/** After what silence an event stream or a long poll is doubted, in ms: above the broker's heartbeat and its longest wait. */
const DOUBT = 28_000;
/** How long a connection must have worked so that the next attempt is a first one again, in ms. */
const STABLE = 5000;
/** How soon WebSocket is tried again while another transport works, at first and at most, in ms. */
const RETURN = 10_000;
const RETURN_MAX = 300_000;
/** How many attempts a WebSocket gets, before it has ever worked and after; the others get one. */
const SOCKET_ATTEMPTS = 2;
const SOCKET_ATTEMPTS_KNOWN = 4;
/** From how many attempts in vain on it counts as offline. */
const OFFLINE_AFTER = 3;
/** How many tickets may be refused in a row. */
const REFUSALS_MAX = 2;

/** What the connection knows of a topic. */
interface Cursor extends Track {
  /** The broker was asked, and has not answered yet. */
  isPending: boolean;
  /** From where somebody else wants it, to be asked once the answer is there. */
  wanted: After;
  /** Gaps in a row. */
  gaps: number;
}

export type ConnectionOptions = Pick<Ready, 'url' | 'token' | 'ticket' | 'transport'>;

/** Connects as soon as a topic is wanted. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #out: (wire: Wire) => void;
  readonly #order: Transport[];
  readonly #cursors = new Map<string, Cursor>();
  #link: Link = 'connecting';
  #carrier: Carrier | undefined;
  /** A WebSocket that is tried while another transport works, until when or from when on, and how long after the last one. */
  #trial: Carrier | undefined;
  #trialAt = 0;
  #trialWait = RETURN;
  #index = 0;
  #works = false;
  #hasWorked = false;
  /** Attempts since the last connection that was stable; those in a row on this transport; refused tickets in a row. */
  #attempts = 0;
  #failures = 0;
  #refusals = 0;
  #startedAt = 0;
  #heardAt = 0;
  /** Until when the answer to a ping may take; 0 where there is none to come. */
  #answerBy = 0;
  /** When the next attempt is, and not before when the broker wants it. */
  #dueAt: number;
  #advisedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Waits `gather` ms, in which others may say what they want. */
  constructor(options: ConnectionOptions, gather: number, out: (wire: Wire) => void) {
    const { transport } = options;
    this.#options = options;
    this.#out = out;
    this.#order = transport !== 'auto' ? [transport] : ['websocket', 'sse', 'poll'];
    this.#dueAt = Date.now() + gather;
  }

  /** Somebody follows a topic from here on, or misses what is behind here. */
  want(topic: string, after: After): void {
    const cursor = this.#cursors.get(topic);
    if (!cursor) this.#add(topic, after);
    else if (!this.#carrier) cursor.at = earlier(cursor.at, after);
    else if (cursor.isPending) cursor.wanted = earlier(cursor.wanted, after);
    else {
      const [at, from] = [parsePosition(cursor.at)!, parsePosition(after)];
      const head = Math.max(cursor.head, at.offset);
      const isElsewhere = from ? from.epoch === at.epoch && (from.offset < at.offset || from.offset > head) : after && at.offset;
      if (isElsewhere) this.#subscribe(topic, cursor, after);
      else this.#out({ op: 'subscribed', topic, position: cursor.at!, head });
    }
  }

  /** Nobody follows a topic any more. */
  drop(topic: string): void {
    this.#carrier?.unsubscribe(topic);
    this.#forget(topic);
  }

  /** What is known of the connection. */
  link(): Wire {
    return { op: 'link', link: this.#link, transport: this.#works ? this.#order[this.#index] : undefined };
  }

  /** Looks after what is due. Called every second or two, and by other tabs while this one's timers sleep. */
  tick(): void {
    const now = Date.now();
    if (this.#isIdle()) return;
    if (!this.#carrier) {
      if (now >= this.#dueAt) this.#start();
    } else if (!this.#works) {
      if (now - this.#startedAt > FIRST_MESSAGE) this.#ended({}, SOCKET_ATTEMPTS_KNOWN);
    } else if (this.#answerBy) {
      if (now > this.#answerBy) this.#ended({});
    } else if (now - this.#heardAt > SILENCE) {
      if (this.#isSocket()) this.#ping();
      else this.#ended({});
    } else if (this.#index && now > this.#trialAt) {
      if (this.#trial) this.#endTrial();
      else this.#try();
    }
  }

  /** The machine slept, or the network came back. `isGone`: nothing can be left of the connection. */
  wake(isGone?: boolean): void {
    const now = Date.now();
    if (this.#isIdle()) return;
    if (!this.#carrier) this.#later(Math.max(now, this.#advisedAt));
    else if (isGone || (!this.#isSocket() && now - this.#heardAt > DOUBT)) {
      this.#stop();
      this.#show('connecting');
      this.#start();
    } else if (this.#works && this.#isSocket()) this.#ping();
  }

  /** Ends it without a word. */
  close(): void {
    this.#stop();
    this.#link = 'closed';
  }

  #isIdle(): boolean {
    return this.#link === 'closed' || !this.#cursors.size;
  }

  #isSocket(): boolean {
    return this.#order[this.#index] === 'websocket';
  }

  #show(link: Link): void {
    this.#link = link;
    this.#out(this.link());
  }

  #report(trouble: Trouble): void {
    this.#out({ op: 'error', trouble });
  }

  #later(at: number): void {
    this.#dueAt = at;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.tick(), Math.max(0, at - Date.now()));
  }

  #ping(): void {
    this.#answerBy = Date.now() + ANSWER;
    this.#carrier?.ping();
    setTimeout(() => this.tick(), ANSWER + 1);
  }

  #add(topic: string, after: After): void {
    const cursor = { at: after, head: 0, isPending: true, wanted: undefined, gaps: 0 };
    this.#cursors.set(topic, cursor);
    if (!this.#carrier) this.#later(Math.max(this.#dueAt, Date.now()));
    // A ticket is good for the topics it was made for.
    else if (this.#options.ticket && this.#isSocket()) this.wake(true);
    else this.#subscribe(topic, cursor, after);
  }

  #subscribe(topic: string, cursor: Cursor, after: After): void {
    cursor.at = after;
    cursor.isPending = true;
    this.#carrier?.subscribe(topic, after);
  }

  #forget(topic: string): void {
    this.#cursors.delete(topic);
    if (!this.#cursors.size) this.#stop();
  }

  async #ticket(topics: string[]): Promise<string> {
    try {
      return await this.#options.ticket!(topics);
    } catch (error) {
      this.#report({ code: 'ticket_failed', message: String(error), fatal: false });
      throw error;
    }
  }

  #start(): void {
    for (const cursor of this.#cursors.values()) cursor.isPending = true;
    this.#startedAt = this.#heardAt = Date.now();
    this.#carrier = this.#open(this.#order[this.#index]!);
  }

  /** Tries a WebSocket while another transport works. */
  #try(): void {
    this.#trialAt = Date.now() + FIRST_MESSAGE;
    this.#trial = this.#open('websocket');
  }

  #open(kind: Transport): Carrier {
    const { url, token, ticket } = this.#options;
    const own: Carrier = CARRIERS[kind]({
      url,
      token,
      ticket: ticket && ((topics) => this.#ticket(topics)),
      topics: [...this.#cursors].map(([topic, { at }]) => [topic, at]),
      sink: {
        heard: () => {
          if (own !== this.#carrier) return;
          this.#heardAt = Date.now();
          this.#answerBy = 0;
        },
        message: (message) => {
          if (own === this.#trial) this.#takeOver();
          if (own !== this.#carrier) return;
          if (!this.#works) this.#worksNow();
          this.#onMessage(message);
        },
        ended: (end) => {
          if (own === this.#trial) this.#endTrial();
          else if (own === this.#carrier) this.#ended(end);
        },
      },
    });
    return own;
  }

  /** The WebSocket works: the other transport has done its service. */
  #takeOver(): void {
    const carrier = this.#trial;
    this.#trial = undefined;
    this.#stop();
    this.#carrier = carrier;
    this.#index = 0;
    this.#heardAt = Date.now();
    for (const cursor of this.#cursors.values()) cursor.isPending = true;
  }

  #endTrial(): void {
    this.#trial?.close();
    this.#trial = undefined;
    this.#trialWait = Math.min(RETURN_MAX, this.#trialWait * 2);
    this.#planTrial();
  }

  #planTrial(): void {
    this.#trialAt = Date.now() + this.#trialWait * (0.5 + Math.random());
  }

  #worksNow(): void {
    this.#works = this.#hasWorked = true;
    this.#failures = this.#refusals = 0;
    this.#startedAt = Date.now();
    if (!this.#index) this.#trialWait = RETURN;
    this.#planTrial();
    this.#show('open');
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#carrier?.close();
    this.#trial?.close();
    this.#carrier = this.#trial = undefined;
    this.#works = false;
    this.#answerBy = 0;
  }

  /** The attempt is over. `weight`: for how many failures it counts, where it never worked. */
  #ended({ refused, delay, base }: End, weight = 1): void {
    const now = Date.now();
    const worked = this.#works;
    this.#stop();
    if (refused) {
      // A ticket may have come too late; the next one may be good.
      const isTicket = this.#options.ticket && /^(unauthorized|4501)$/.test(refused.code);
      if (!isTicket || ++this.#refusals > REFUSALS_MAX) {
        this.#report(refused);
        return this.#show('closed');
      }
    }
    if (worked) {
      if (now - this.#startedAt > STABLE) this.#attempts = 0;
    } else {
      this.#failures += weight;
      if (this.#failures >= (this.#index ? 1 : this.#hasWorked ? SOCKET_ATTEMPTS_KNOWN : SOCKET_ATTEMPTS)) {
        this.#failures = 0;
        this.#index = (this.#index + 1) % this.#order.length;
      }
    }
    this.#advisedAt = now + (delay ?? 0);
    // What the broker advised is spread already.
    const own = delay !== undefined && !this.#attempts ? 0 : backoff(this.#attempts, base);
    this.#later(now + Math.max(delay ?? 0, own));
    this.#attempts++;
    const isOffline = !worked && (this.#attempts >= OFFLINE_AFTER || navigator.onLine === false);
    this.#show(isOffline ? 'offline' : 'connecting');
  }

  #onMessage(message: Message): void {
    switch (message.op) {
      case 'change':
        return this.#onChange(message.change, message.epoch);
      case 'subscribed':
        return this.#onSubscribed(message.topic, message.position, message.head);
      case 'error':
        return this.#onError(message.code, message.message, message.topic);
      case 'reset': {
        const cursor = this.#cursors.get(message.topic);
        if (cursor) cursor.at = message.position;
        this.#out(message);
        break;
      }
      case 'presence':
        this.#out(message);
    }
  }

  #onSubscribed(topic: string, position: string, head: number): void {
    const cursor = this.#cursors.get(topic);
    if (!cursor) return;
    const { wanted } = cursor;
    Object.assign(cursor, { at: position, head, isPending: false, wanted: undefined });
    this.#out({ op: 'subscribed', topic, position, head });
    if (wanted) this.want(topic, wanted);
  }

  #onChange(change: Change, named?: string): void {
    const cursor = this.#cursors.get(change.topic);
    if (!cursor || cursor.isPending) return;
    const epoch = named ?? parsePosition(cursor.at)?.epoch ?? '';
    const verdict = take(cursor, epoch, change.offset);
    if (verdict === 'next') {
      cursor.gaps = 0;
      this.#out({ op: 'change', epoch, change });
    } else if (verdict === 'gap') {
      // The same gap again and again is no accident of one message.
      if (++cursor.gaps > 2) this.#ended({});
      else this.#subscribe(change.topic, cursor, cursor.at);
    }
  }

  #onError(code: string, message: string, topic?: string): void {
    const cursor = this.#cursors.get(topic!);
    // A topic that nobody follows any more is no news; and the close that comes behind this says more.
    if (code === 'unauthorized' || (topic && !cursor)) return;
    const fatal = !!cursor && FINAL.test(code);
    this.#report({ code, message, topic, fatal });
    if (fatal) this.#forget(topic!);
    else if (cursor?.isPending) this.#ended({});
  }
}
