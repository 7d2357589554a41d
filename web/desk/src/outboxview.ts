/** What became of the last writes: sending, durable at a position, tried again, or refused and kept with the reason. */
import type { Context } from './context.js';
import { button, freshId, h } from './dom.js';
import type { Item, Standing } from './outbox.js';
import type { Write } from './keep.js';
import { clock } from './times.js';

const WHAT: Record<Write['what'], string> = {
  publish: 'Entry',
  revise: 'Revision',
  retract: 'Retraction',
  mark: 'Mark',
  release: 'Release',
  move: 'Embargo',
  drop: 'Held entry dropped',
  topic: 'Details of the blog',
  end: 'End of the blog',
  reopen: 'Reopening',
};

/** What an editor can do about a write that isn't through. */
export interface Remedies {
  /** Takes its text back into the composer. */
  edit(item: Item): void;
  /** Shows both versions. */
  compare(item: Item): void;
}

export class OutboxView {
  readonly #title = h('h3', { id: freshId('outbox') }, 'What you sent');
  readonly #list = h('ul', { class: 'outbox-list' });
  readonly node = h('section', { class: 'outbox', 'aria-labelledby': this.#title.id, hidden: true }, this.#title, this.#list);
  readonly #rows = new Map<Item, HTMLElement>();
  #ticker: ReturnType<typeof setInterval> | undefined;
  readonly #unlisten: () => void;

  constructor(
    private readonly context: Context,
    private readonly topic: string,
    private readonly remedies: Remedies,
  ) {
    this.#unlisten = context.outbox.listen({
      changed: (item) => {
        if (item.write.topic !== topic) return;
        this.#announce(item);
        this.show();
      },
      durable: () => {},
    });
    this.show();
  }

  close(): void {
    this.#unlisten();
    clearInterval(this.#ticker);
  }

  show(): void {
    const items = this.context.outbox.items(this.topic);
    for (const [item, row] of this.#rows) {
      if (items.includes(item)) continue;
      row.remove();
      this.#rows.delete(item);
    }
    for (const item of [...items].reverse()) {
      const old = this.#rows.get(item);
      const row = this.#row(item);
      if (!old) this.#list.prepend(row);
      // What has the focus stays the same button, while only the words beside it count down.
      else if (old.dataset['standing'] === row.dataset['standing']) old.querySelector('.words')!.replaceWith(row.querySelector('.words')!);
      else {
        const hadFocus = old.contains(document.activeElement);
        old.replaceWith(row);
        if (hadFocus) row.focus();
      }
      if (!old || !old.isConnected) this.#rows.set(item, row);
    }
    this.node.hidden = items.length === 0;
    this.#tick(items.some(({ standing }) => standing.is === 'retrying'));
  }

  /** Counts down while something is to be tried again. */
  #tick(isNeeded: boolean): void {
    if (!isNeeded) {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
    } else this.#ticker ??= setInterval(() => this.show(), 1000);
  }

  #row(item: Item): HTMLElement {
    const { write, standing } = item;
    const what = write.label ? `${WHAT[write.what]}: ${write.label}` : WHAT[write.what];
    return h('li', { class: `sent is-${standing.is}`, 'data-standing': standing.is, tabIndex: -1 },
      h('p', { class: 'what' }, what),
      h('p', { class: 'words' }, inWords(item)),
      h('div', { class: 'actions' }, ...this.#actions(item)));
  }

  #actions(item: Item): HTMLElement[] {
    const { outbox } = this.context;
    const { standing, write } = item;
    const small = { class: 'small' };
    const again = button(standing.is === 'retrying' ? 'Try now' : 'Send again', () => outbox.retry(item), { class: 'small primary' });
    const edit = write.draft ? [button('Edit', () => this.remedies.edit(item), small)] : [];
    const discard = button('Discard', () => void this.#discard(item), small);
    switch (standing.is) {
      case 'retrying':
        return [again, ...edit];
      case 'refused':
        return standing.problem.code === 'entry_exists'
          ? [button('Compare', () => this.remedies.compare(item), small), discard]
          : [again, ...edit, discard];
      case 'conflict':
        return [button('See both and choose', () => this.remedies.compare(item), { class: 'small primary' }), discard];
      case 'unconfirmed':
        return [again, ...edit, discard];
      default:
        return [];
    }
  }

  async #discard(item: Item): Promise<void> {
    await this.context.outbox.discard(item);
    if (item.write.draft) this.context.offerUndo('Discarded.', () => this.remedies.edit(item));
  }

  /** Said once for each standing, not for each second of a countdown. */
  #announce(item: Item): void {
    const { standing } = item;
    const row = this.#rows.get(item);
    if (standing.is === 'sending' || standing.is === 'waiting' || row?.dataset['standing'] === standing.is) return;
    const what = WHAT[item.write.what];
    this.context.say(standing.is === 'durable' ? `${what}: durable.` : `${what}: ${inWords(item)}`);
  }
}

function inWords({ write, standing }: Item): string {
  const safely = write.isUncertain ? ' It may have arrived; sending it again can’t publish it twice.' : '';
  switch (standing.is) {
    case 'waiting':
      return 'Waits for what was sent before.';
    case 'sending':
      return 'Sending …';
    case 'durable':
      return durable(write, standing);
    case 'retrying': {
      const seconds = Math.max(0, Math.ceil((standing.at - Date.now()) / 1000));
      return `Kept here. ${standing.why} Next try in ${seconds} s.${safely}`;
    }
    case 'refused':
      return `Kept here. ${standing.why}${safely}`;
    case 'conflict':
      return `Kept here. ${standing.why}`;
    case 'unconfirmed':
      return `Kept here. The page was closed before the answer came.${safely}`;
  }
}

function durable(write: Write, standing: Standing & { is: 'durable' }): string {
  const replayed = standing.replayed ? ' It had arrived the first time.' : '';
  if (standing.position) return `Durable at position ${standing.position}.${replayed}`;
  if (write.releasedAt) return `Durable, and held until ${clock(write.releasedAt)}.${replayed}`;
  return `Durable.${replayed}`;
}
