/** The topics that the key is for: status, readers now, last entry, and what is still unsent. Where a new one is made. */
import { topicPath, Problem } from './api.js';
import type { Context } from './context.js';
import { dialogForm, openDialog } from './dialog.js';
import { button, fill, freshId, h } from './dom.js';
import { choice, labelled } from './form.js';
import { inPlainWords } from './outcome.js';
import { ago } from './times.js';
import { ulid } from './ulid.js';

/** How often the list is asked for, in ms. */
const EVERY = 5000;
const LIMIT = 200;

interface Listed {
  topic: string;
  title?: string;
  status: 'live' | 'ended';
  visibility: 'public' | 'private';
  /** Everyone who follows, open desks among them. */
  readers: number;
  /** Open desks; a key that may not know is not told. */
  desks?: number;
  last_entry?: { headline?: string; text?: string; published_at?: string; retracted?: true; retracted_at?: string };
}

export class Topics {
  readonly #search = h('input', { type: 'search', oninput: () => this.#draw(), autocomplete: 'off' });
  readonly #list = h('ul', { class: 'topics' });
  readonly #note = h('p', { class: 'hint', role: 'status' });
  readonly node: HTMLElement;
  #topics: Listed[] = [];
  #unsent = new Map<string, number>();
  #drawn = '';
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(private readonly context: Context) {
    const title = h('h1', { id: freshId('topics') }, 'Live blogs');
    this.node = h('main', { class: 'overview', 'aria-labelledby': title.id },
      h('div', { class: 'overview-head' }, title, button('New live blog', () => this.#create(), { class: 'primary' })),
      labelled('Find', this.#search), this.#note, this.#list);
    void this.#refresh();
    this.#timer = setInterval(() => {
      if (!document.hidden) void this.#refresh();
    }, EVERY);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #refresh(): Promise<void> {
    const { api, keep } = this.context;
    const unsent = new Map<string, number>();
    for (const { topic } of [...(await keep.drafts().catch(() => [])), ...(await keep.writes().catch(() => []))]) {
      unsent.set(topic, (unsent.get(topic) ?? 0) + 1);
    }
    this.#unsent = unsent;
    try {
      this.#topics = (await api.get(`/v1/topics?limit=${LIMIT}`)).topics;
      fill(this.#note);
    } catch (error) {
      fill(this.#note, `${inPlainWords(error)} What stands here may be old.`);
    }
    this.#draw();
  }

  #draw(): void {
    const wanted = this.#search.value.trim().toLowerCase();
    const shown = this.#topics.filter(({ topic, title }) => `${topic} ${title ?? ''}`.toLowerCase().includes(wanted));
    const drawn = JSON.stringify([shown, [...this.#unsent], shown.map(({ last_entry: last }) => ago(last?.published_at ?? 0))]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['topic'] : undefined;
    fill(this.#list, ...shown.map((topic) => this.#row(topic)));
    if (!shown.length) {
      const why = wanted ? 'No live blog has that in its name.' : 'No live blog yet. Make the first one.';
      this.#list.append(h('li', { class: 'hint' }, why));
    }
    if (focused) this.#list.querySelector<HTMLElement>(`[data-topic="${focused}"]`)?.focus();
  }

  #row({ topic, title, status, visibility, readers, desks = 0, last_entry: last }: Listed): HTMLElement {
    const unsent = this.#unsent.get(topic);
    const words = last?.retracted ? 'An entry was retracted' : last?.headline ?? last?.text;
    const at = last?.published_at ?? last?.retracted_at;
    return h('li', { class: 'topic-row' },
      h('a', { href: `#/${topic}`, 'data-topic': topic },
        h('span', { class: 'line' },
          statusPill(status),
          h('span', { class: 'title', dir: 'auto' }, title || topic),
          visibility === 'private' && h('span', { class: 'badge' }, 'Private'),
          unsent !== undefined && h('span', { class: 'badge is-unsent' }, `${unsent} unsent`)),
        h('span', { class: 'line hint' },
          h('span', {}, topic),
          h('span', { class: 'readers' }, readersNow(readers - desks)),
          words ? h('span', { class: 'last', dir: 'auto' }, `${words}${at ? `, ${ago(at)}` : ''}`) : h('span', {}, 'No entries yet'))));
  }

  #create(): void {
    const title = h('input', { autocomplete: 'off', dir: 'auto' });
    const name = h('input', { autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', placeholder: 'harbour-storm' });
    const language = h('input', { autocomplete: 'off', value: navigator.language });
    const visibility = choice('public', [['public', 'Public'], ['private', 'Private: only with a key']], () => {});
    const error = h('p', { class: 'error', role: 'alert' });
    let isOwnName = false;
    title.addEventListener('input', () => {
      if (!isOwnName) name.value = slug(title.value);
    });
    name.addEventListener('input', () => {
      isOwnName = name.value !== '';
    });
    const key = `desk-${ulid()}`;
    const submit = async (): Promise<void> => {
      const topic = name.value.trim();
      if (!/^[a-z0-9][a-z0-9-]{0,127}$/.test(topic)) {
        fill(error, 'The name has small letters, digits and hyphens, and begins with a letter or a digit. It is part of the address.');
        return name.focus();
      }
      try {
        if (await this.#exists(topic)) return fill(error, 'There is a live blog of that name already.');
        const fields = { title: title.value.trim() || undefined, language: language.value.trim() || undefined, visibility: visibility.value };
        await this.context.api.call({ method: 'PUT', path: topicPath(topic), body: JSON.stringify(fields), idempotencyKey: key });
        dialog.close();
        location.hash = `#/${topic}`;
      } catch (problem) {
        fill(error, inPlainWords(problem));
      }
    };
    const dialog = openDialog('New live blog', []);
    dialog.node.append(dialogForm('Create', () => void submit(), dialog.close, false,
      labelled('Title', title),
      labelled('Name', name, 'Part of its address; it stays.'),
      h('div', { class: 'pair' }, labelled('Language', language), labelled('Who may see it', visibility)), error));
    title.focus();
  }

  /** PUT would replace the fields of one that is there. */
  async #exists(topic: string): Promise<boolean> {
    try {
      await this.context.api.get(topicPath(topic));
      return true;
    } catch (error) {
      if (error instanceof Problem && error.status === 404) return false;
      throw error;
    }
  }
}

export function statusPill(status: 'live' | 'ended'): HTMLElement {
  return h('span', { class: `pill is-${status}` }, status === 'live' ? 'Live' : 'Ended');
}

/** How many read now: desks follow as readers do, and are none. */
export function readersNow(count: number): string {
  const readers = Math.max(0, count);
  return `${readers.toLocaleString()} ${readers === 1 ? 'reader' : 'readers'} now`;
}

/** A name for the address, out of a title. */
export function slug(title: string): string {
  return title.normalize('NFKD').replace(/[\u0300-\u036f]/g, '').toLowerCase().replace(/ß/g, 'ss')
    .replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 128).replace(/-+$/, '');
}
