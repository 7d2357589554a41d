/** Entries under embargo: stored, seen by desks alone. Released now, moved, dropped, or edited. */
import type { Entry } from 'tenbells';
import { entryPath, topicPath } from './api.js';
import { article } from './article.js';
import { mayInspect, type Context } from './context.js';
import { dialogForm, openDialog } from './dialog.js';
import { button, fill, freshId, h } from './dom.js';
import { labelled } from './form.js';
import type { Write } from './keep.js';
import { ahead, clock, fromLocalInput, inUtc, toLocalInput, zoneAt } from './times.js';

/** How often the list is asked for, in ms: other desks may change it, and no change tells of it. */
const EVERY = 15_000;

export class Held {
  readonly #title = h('h2', { id: freshId('held') });
  readonly #list = h('ul', { class: 'cards' });
  readonly node = h('section', { class: 'held', 'aria-labelledby': this.#title.id, hidden: true }, this.#title, this.#list);
  #entries: Entry[] = [];
  #drawn = '';
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #unlisten: () => void;

  constructor(
    private readonly context: Context,
    private readonly topic: string,
    private readonly edit: (entry: string) => void,
  ) {
    this.#unlisten = context.outbox.listen({
      changed: () => {},
      durable: ({ write }) => {
        if (write.topic === topic) void this.refresh();
      },
    });
    if (!mayInspect(context)) return;
    void this.refresh();
    this.#timer = setInterval(() => {
      if (!document.hidden) void this.refresh();
    }, EVERY);
  }

  close(): void {
    this.#unlisten();
    clearInterval(this.#timer);
  }

  async refresh(): Promise<void> {
    if (!mayInspect(this.context)) return;
    try {
      const { entries } = await this.context.api.get(topicPath(this.topic, '/entries?filter=held&limit=1000'));
      this.#entries = entries;
    } catch {
      // What was here last stays; the next time will tell.
    }
    this.#draw();
  }

  #draw(): void {
    const drawn = JSON.stringify([this.#entries, this.#entries.map(({ released_at: at }) => ahead(Date.parse(at!)))]);
    // The focus may be on one of its buttons.
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['do'] : undefined;
    const hadFocus = this.node.contains(document.activeElement);
    fill(this.#title, `Under embargo (${this.#entries.length})`);
    fill(this.#list, ...this.#entries.map((entry) => this.#card(entry)));
    this.node.hidden = this.#entries.length === 0;
    if (hadFocus && focused) this.#list.querySelector<HTMLElement>(`[data-do="${focused}"]`)?.focus();
  }

  #card(entry: Entry): HTMLElement {
    const at = Date.parse(entry.released_at!);
    const name = entry.headline || 'this entry';
    return h('li', { class: 'card is-held', 'data-entry': entry.id },
      h('p', { class: 'stamp' }, h('span', { class: 'badge is-held' }, 'Held'),
        h('span', {}, `until ${clock(at)}, ${ahead(at)}`), h('span', { class: 'hint' }, zoneAt(at) === 'UTC' ? 'UTC' : `${zoneAt(at)}, ${inUtc(at)}`)),
      h('div', { class: 'article' }, ...article(entry, 'h3')),
      h('div', { class: 'actions' },
        button('Release now', () => this.#release(entry), { class: 'small primary', 'data-do': `release-${entry.id}`, 'aria-label': `Release now: ${name}` }),
        button('Move', () => this.#move(entry), { class: 'small', 'data-do': `move-${entry.id}`, 'aria-label': `Move: ${name}` }),
        button('Edit', () => this.edit(entry.id), { class: 'small', 'data-do': `edit-${entry.id}`, 'aria-label': `Edit: ${name}` }),
        button('Drop', () => this.#drop(entry), { class: 'small danger', 'data-do': `drop-${entry.id}`, 'aria-label': `Drop: ${name}` })));
  }

  #send(entry: Entry, what: Write['what'], method: string, body?: object, releasedAt?: string): void {
    void this.context.outbox.add({
      topic: this.topic, what, label: entry.headline ?? '', entry: entry.id, method, path: entryPath(this.topic, entry.id),
      body: body && JSON.stringify(body), releasedAt,
    });
  }

  #release(entry: Entry): void {
    this.#send(entry, 'release', 'PATCH', { released_at: null });
  }

  #move(entry: Entry): void {
    const input = h('input', { type: 'datetime-local', value: toLocalInput(Date.parse(entry.released_at!)) });
    const note = h('p', { class: 'hint', 'aria-live': 'polite' });
    const show = (): void => {
      const at = fromLocalInput(input.value);
      fill(note, at === undefined ? 'Choose a time.'
        : at <= Date.now() ? 'That time has passed. To publish it, release it now.'
          : `Held until then: ${ahead(at)}, at ${inUtc(at)}. Zone: ${zoneAt(at)}.`);
    };
    input.addEventListener('input', show);
    show();
    const dialog = openDialog('Move the embargo', []);
    const submit = (): void => {
      const at = fromLocalInput(input.value);
      if (at === undefined || at <= Date.now()) return input.focus();
      const releasedAt = new Date(at).toISOString();
      this.#send(entry, 'move', 'PATCH', { released_at: releasedAt }, releasedAt);
      dialog.close();
    };
    dialog.node.append(dialogForm('Move', submit, dialog.close, false, labelled('Hold until', input), note));
    input.focus();
  }

  #drop(entry: Entry): void {
    const dialog = openDialog('Drop the held entry?', [
      h('p', {}, `“${entry.headline ?? 'It'}” was seen by no reader. Dropped, it is as if it had never been.`),
    ]);
    dialog.node.append(dialogForm('Drop it', () => {
      this.#send(entry, 'drop', 'DELETE');
      dialog.close();
    }, dialog.close, true));
  }
}
