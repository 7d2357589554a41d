/**
 * The tabs of an origin that share one connection. Whoever holds the lock leads: it has the connection, and tells the
 * others every message by a BroadcastChannel. The others say from where they want which topic; what they get twice they
 * drop by themselves. A tab that goes, freezes or hangs loses the lead, and the next one goes on from where all stand.
 */
import { Connection, type ConnectionOptions } from './connection.js';
import type { After } from './position.js';
import type { Wire } from './wire.js';

/** How long a leader may be silent before a visible tab asks whether it lives, in ms. */
const QUIET = 6000;
/** How long the answer may take before that tab takes the lead, in ms. */
const ANSWER = 3000;
/** How long a new leader waits for what the others want, in ms. */
const GATHER = 50;

/** What tabs say to each other: */
type Note = { tab: number } & (
  | // the leader, to all;
  { wire: Wire }
  // a new leader, so that all say what they want;
  | { leads: 1 }
  // the others, to the leader.
  | { want: string; after: After }
  | { drop: string }
  | { ask: 1 }
);

/** What a tab follows, and what it does with what comes. */
export interface Tab {
  take(wire: Wire): void;
  wants(): [string, After][];
}

/** A tab's place among the others. */
export class Share {
  readonly #tab: Tab;
  readonly #options: ConnectionOptions;
  readonly #name: string | undefined;
  /** Tells this tab from the others. */
  readonly #id = Math.random();
  readonly #channel: BroadcastChannel | undefined;
  /** Tabs that follow a topic, by its name. */
  readonly #followers = new Map<string, Set<number>>();
  #connection: Connection | undefined;
  /** Gives the lock back, or the wish for it. */
  #release = (): void => {};
  #isOver = false;
  #isOpen = false;
  /** When the leader was heard and asked last. */
  #heardAt = 0;
  #askedAt = 0;

  /** Joins the tabs of this name; without one, or in a browser that lacks what sharing needs, the tab is alone. */
  constructor(tab: Tab, options: ConnectionOptions, name?: string) {
    this.#tab = tab;
    this.#options = options;
    if (name && navigator.locks && globalThis.BroadcastChannel) {
      this.#name = name;
      this.#channel = new BroadcastChannel(name);
      this.#channel.onmessage = ({ data }) => this.#onNote(data as Note);
      this.#heardAt = Date.now();
      this.#follow();
    } else this.#lead();
  }

  /** This tab follows a topic from here on, or misses what is behind here. */
  want(topic: string, after: After): void {
    if (this.#connection) this.#wanted(this.#id, topic, after);
    else this.#post({ want: topic, after });
  }

  /** This tab does not follow a topic any more. */
  drop(topic: string): void {
    if (this.#connection) this.#dropped(this.#id, topic);
    else this.#post({ drop: topic });
  }

  /** Looks after what is due. Called every second or two. */
  tick(): void {
    const now = Date.now();
    if (this.#connection) this.#connection.tick();
    else if (!document.hidden) {
      const isAnswered = this.#heardAt >= this.#askedAt;
      if (!isAnswered && now - this.#askedAt > ANSWER) this.#request(true);
      else if (isAnswered && (!this.#isOpen || now - this.#heardAt > QUIET)) this.#ask();
    }
  }

  /** The machine slept, or the network came back. `isGone`: nothing can be left of a connection. */
  wake(isGone?: boolean): void {
    if (this.#connection) this.#connection.wake(isGone);
    else {
      this.#wantAll();
      this.#ask();
    }
  }

  /** Goes; another tab goes on. */
  leave(): void {
    if (!this.#connection) for (const [topic] of this.#tab.wants()) this.drop(topic);
    this.#isOver = true;
    this.#connection?.close();
    this.#channel?.close();
    this.#release();
  }

  #post(note: { wire: Wire } | { leads: 1 } | { want: string; after: After } | { drop: string } | { ask: 1 }): void {
    if (!this.#isOver) this.#channel?.postMessage({ tab: this.#id, ...note });
  }

  #ask(): void {
    this.#askedAt = Math.max(Date.now(), this.#heardAt + 1);
    this.#post({ ask: 1 });
  }

  #wantAll(): void {
    for (const [topic, after] of this.#tab.wants()) this.want(topic, after);
  }

  #follow(): void {
    this.#connection?.close();
    this.#connection = undefined;
    this.#request(false);
    this.#wantAll();
  }

  /** Asks for the lead; `steal` takes it from a tab that does not answer. */
  #request(steal: boolean): void {
    this.#release();
    const control = new AbortController();
    this.#release = () => control.abort();
    this.#askedAt = 0;
    navigator.locks
      .request(this.#name!, steal ? { steal } : { signal: control.signal }, () => {
        if (this.#isOver || control.signal.aborted) return;
        return new Promise<void>((resolve) => {
          this.#release = resolve;
          this.#lead();
        });
      })
      .catch(() => {
        // Taken away by another tab, unless it is this one that did not want it any more.
        if (!this.#isOver && !control.signal.aborted) this.#follow();
      });
  }

  #lead(): void {
    this.#followers.clear();
    // Who has heard of another leader is not the first here.
    this.#connection = new Connection(this.#options, this.#isOpen ? GATHER : 0, (wire) => {
      this.#post({ wire });
      this.#tab.take(wire);
    });
    this.#post({ leads: 1 });
    this.#wantAll();
  }

  #onNote(note: Note): void {
    if (this.#isOver) return;
    if (this.#connection) {
      if ('want' in note) this.#wanted(note.tab, note.want, note.after);
      else if ('drop' in note) this.#dropped(note.tab, note.drop);
      else if ('ask' in note) {
        this.#connection.tick();
        this.#post({ wire: this.#connection.link() });
      }
    } else if ('wire' in note) {
      this.#heardAt = Date.now();
      if (note.wire.op === 'link') this.#isOpen = note.wire.link === 'open';
      this.#tab.take(note.wire);
    } else if ('leads' in note) {
      this.#heardAt = Date.now();
      this.#wantAll();
    }
  }

  #wanted(tab: number, topic: string, after: After): void {
    const tabs = this.#followers.get(topic) ?? new Set();
    this.#followers.set(topic, tabs.add(tab));
    this.#connection!.want(topic, after);
    if (tab !== this.#id) this.#post({ wire: this.#connection!.link() });
  }

  #dropped(tab: number, topic: string): void {
    const tabs = this.#followers.get(topic);
    if (!tabs?.delete(tab) || tabs.size) return;
    this.#followers.delete(topic);
    this.#connection!.drop(topic);
  }
}
