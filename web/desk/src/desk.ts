/** The desk: signs in, shows the topics or one of them, and has what both share. Where it begins. */
import { Announcer } from './announce.js';
import { Api, Problem, type Grant } from './api.js';
import type { Context } from './context.js';
import { button, fill, h } from './dom.js';
import { openKeep, type Keep } from './keep.js';
import { Outbox } from './outbox.js';
import { inPlainWords } from './outcome.js';
import { TopicScreen } from './screen.js';
import { forgetKey, isRemembered, onKeyForgotten, storedKey, storedName } from './seat.js';
import { askGrant, signIn, signOut } from './signin.js';
import { Tab } from './tab.js';
import { Topics } from './topics.js';

/** How soon the broker is asked again, in ms, where it can't be reached when the desk opens. */
const AGAIN = 2000;

class Desk {
  readonly #root = document.getElementById('desk')!;
  readonly #announcer = new Announcer();
  readonly #outbox: Outbox;
  #context: Context | undefined;
  #screen: { close(): void } | undefined;
  /** Which screen was asked for last: one that opens late must not replace it. */
  #turn = 0;

  constructor(
    private readonly keep: Keep,
    private readonly tab: Tab,
  ) {
    this.#outbox = new Outbox(() => this.#api(), keep, tab);
    addEventListener('hashchange', () => void this.#route());
    addEventListener('beforeunload', (event) => {
      if (this.#context && this.#outbox.isBusy) event.preventDefault();
    });
    onKeyForgotten(() => {
      if (this.#context && storedKey() === undefined) this.#leave('Signed out in another tab.');
    });
  }

  /** Nothing is sent for whoever has signed out; what was on its way is kept. */
  #api(): Api {
    if (this.#context) return this.#context.api;
    throw new Problem(401, 'unauthorized', 'signed out');
  }

  async begin(): Promise<void> {
    const key = storedKey();
    if (!key) return this.#showSignIn();
    fill(this.#root, h('main', { class: 'signin' }, h('h1', {}, 'Tenbells desk'), h('p', { role: 'status' }, 'Signing in …'),
      button('Sign in with another key', () => this.#leave())));
    const turn = ++this.#turn;
    try {
      const grant = await askGrant(key);
      if (turn !== this.#turn) return;
      if (typeof grant === 'string') this.#leave(grant);
      else this.#enter(key, grant);
    } catch {
      fill(this.#root.querySelector('[role=status]')!, 'The broker can’t be reached. Trying again …');
      setTimeout(() => {
        if (turn === this.#turn) void this.begin();
      }, AGAIN);
    }
  }

  #showSignIn(notice?: string): void {
    this.#turn++;
    document.title = 'Tenbells desk';
    fill(this.#root, signIn(notice, (key, grant) => this.#enter(key, grant)));
    this.#root.querySelector<HTMLElement>('input[type=password]')?.focus();
  }

  #enter(key: string, grant: Grant): void {
    const announcer = this.#announcer;
    this.#context = {
      api: new Api(key, () => this.#warn()),
      keep: this.keep,
      tab: this.tab,
      outbox: this.#outbox,
      grant,
      name: storedName(),
      say: (text) => announcer.say(text),
      offerUndo: (text, undo) => announcer.offerUndo(text, undo),
      complain: (text) => announcer.complain(text),
    };
    void this.#route();
  }

  /** Forgets the key. Whatever is unsent stays on the device, for whoever signs in next. */
  #leave(notice?: string): void {
    this.#screen?.close();
    this.#screen = undefined;
    this.#context = undefined;
    forgetKey();
    this.#showSignIn(notice);
  }

  /** The key is good no more. The screen stays, so that nothing that is being written is lost. */
  #warn(): void {
    const place = document.getElementById('key-warning');
    if (!place || place.childElementCount) return;
    fill(place, h('p', { class: 'notice is-wrong', role: 'alert' }, h('span', {}, 'Your key is not good any more. What you wrote stays on this device. '),
      button('Sign in again', () => this.#leave('Sign in with a key that is good.'))));
  }

  async #route(): Promise<void> {
    const context = this.#context;
    if (!context) return;
    const turn = ++this.#turn;
    this.#screen?.close();
    this.#screen = undefined;
    const topic = location.hash.replace(/^#\/?/, '');
    const place = h('div', { class: 'screen' });
    fill(this.#root, this.#header(context, topic !== ''), h('div', { id: 'key-warning' }),
      !this.keep.isLasting && h('p', { class: 'notice is-wrong' }, 'This browser keeps nothing: drafts are lost with the tab.'),
      place, this.#announcer.node);
    if (topic === '') {
      document.title = 'Tenbells desk';
      const topics = new Topics(context);
      this.#screen = topics;
      return fill(place, topics.node);
    }
    fill(place, h('main', {}, h('p', { role: 'status' }, 'Opening …')));
    try {
      const screen = await TopicScreen.open(context, topic);
      if (turn !== this.#turn) return screen.close();
      this.#screen = screen;
      fill(place, screen.node);
    } catch (error) {
      if (turn !== this.#turn) return;
      if (!(error instanceof Problem) || error.status >= 500) setTimeout(() => {
        if (turn === this.#turn) void this.#route();
      }, 2 * AGAIN);
      fill(place, h('main', { class: 'overview' }, h('h1', {}, topic), h('p', { class: 'error', role: 'alert' }, inPlainWords(error)),
        h('div', { class: 'actions' }, button('Try again', () => void this.#route(), { class: 'primary' }),
          h('a', { class: 'button', href: '#/' }, 'All live blogs'))));
    }
  }

  #header(context: Context, hasTopic: boolean): HTMLElement {
    const { grant } = context;
    return h('header', { class: 'masthead' },
      h('a', { class: 'brand', href: '#/' }, hasTopic ? '‹ All live blogs' : 'Tenbells desk'),
      h('p', { class: 'who' },
        h('span', { title: `Key ${grant.key}, role ${grant.role}, for ${grant.topics.join(', ')}` }, context.name || `Key ${grant.key}`),
        isRemembered() && h('span', { class: 'badge' }, 'Remembered here'),
        button('Sign out', () => void signOut(this.keep, this.#outbox, () => this.#leave('You are signed out.')), { class: 'small' })));
  }
}

void Promise.all([openKeep(), Tab.open()]).then(([keep, tab]) => new Desk(keep, tab).begin());
