/** An entry in the desk's list: as readers see it, with what an editor can do about it. */
import { article } from './article.js';
import { isTombstone, type Item, type Tombstone } from './blog.js';
import { button, h } from './dom.js';
import type { Entry } from 'tenbells';
import { clock } from './times.js';

/** What a card is shown with. */
export interface CardState {
  /** What is being done with it just now, such as `Saving …`. */
  pending?: string | undefined;
  /** Who else is editing it. */
  others: string[];
  /** Whether it is in this desk's composer. */
  isEdited: boolean;
  /** The page of the entry, where there is one. */
  href: string;
}

export interface CardActions {
  edit(entry: Entry): void;
  mark(entry: Entry, marks: { pinned?: boolean; key_event?: boolean }): void;
  retract(entry: Entry, reason: string): void;
}

export function card(item: Item, state: CardState, actions: CardActions): HTMLElement {
  return isTombstone(item) ? tombstone(item) : entryCard(item, state, actions);
}

function tombstone({ id, reason, retracted_at: at }: Tombstone): HTMLElement {
  return h('li', { class: 'card tombstone', 'data-entry': id },
    h('p', { class: 'stamp' }, time(at), h('span', { class: 'badge is-gone' }, 'Retracted')),
    h('p', {}, 'Gone from every page, feed and replay.', reason ? ` Readers see the reason: ${reason}` : ''));
}

function entryCard(entry: Entry, state: CardState, actions: CardActions): HTMLElement {
  const name = entry.headline || 'this entry';
  const toggle = (words: string, isOn: boolean, marks: { pinned?: boolean; key_event?: boolean }, what: string): HTMLElement =>
    button(words, () => actions.mark(entry, marks), { class: 'small toggle', 'aria-pressed': String(isOn), 'data-do': what, 'aria-label': `${words}: ${name}` });
  const retraction = h('div', { class: 'retraction', hidden: true });
  const retract = button('Retract', () => openRetraction(retraction, retract, entry, actions), {
    class: 'small danger', 'data-do': 'retract', 'aria-expanded': 'false', 'aria-label': `Retract: ${name}`,
  });
  const revised = entry.revision > 1 ? `revision ${entry.revision}` : '';
  return h('li', { class: `card${state.isEdited ? ' is-edited' : ''}`, 'data-entry': entry.id, 'data-revision': entry.revision },
    h('p', { class: 'stamp' },
      h('a', { href: state.href, target: '_blank', rel: 'noopener', title: 'The entry on its page' }, time(entry.published_at)),
      revised && h('span', {}, revised),
      state.pending && h('span', { class: 'pending' }, state.pending),
      state.others.length > 0 && h('span', { class: 'other' }, `${state.others.join(', ')} ${state.others.length > 1 ? 'are' : 'is'} editing this`)),
    h('div', { class: 'article' }, ...article(entry, 'h3')),
    h('div', { class: 'actions' },
      button('Edit', () => actions.edit(entry), { class: 'small', 'data-do': 'edit', 'aria-label': `Edit: ${name}` }),
      toggle('Pin', entry.pinned, { pinned: !entry.pinned }, 'pin'),
      toggle('Key event', entry.key_event, { key_event: !entry.key_event }, 'key'),
      retract),
    retraction);
}

/** One click opens it, the reason is optional, Enter does it, Escape doesn't. */
function openRetraction(place: HTMLElement, opener: HTMLElement, entry: Entry, actions: CardActions): void {
  const close = (): void => {
    place.hidden = true;
    place.replaceChildren();
    opener.setAttribute('aria-expanded', 'false');
    opener.focus();
  };
  if (!place.hidden) return close();
  const reason = h('input', { placeholder: 'Reason, for readers (optional)', 'aria-label': 'Reason of the retraction, for readers (optional)', autocomplete: 'off', 'data-do': 'reason' });
  const form = h('form', {
    onsubmit: (event: Event) => {
      event.preventDefault();
      actions.retract(entry, reason.value.trim());
    },
    onkeydown: (event: KeyboardEvent) => {
      if (event.key === 'Escape') close();
    },
  }, reason, h('button', { type: 'submit', class: 'danger solid' }, 'Retract now'), button('Cancel', close, { class: 'small' }));
  place.replaceChildren(form);
  place.hidden = false;
  opener.setAttribute('aria-expanded', 'true');
  reason.focus();
}

export function time(iso: string): HTMLElement {
  return h('time', { datetime: iso, title: new Date(iso).toLocaleString() }, clock(iso));
}
