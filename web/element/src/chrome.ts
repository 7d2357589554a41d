/**
 * The element's own controls, in its shadow root: connection state, new updates, order, pause, notices, and the region for
 * screen readers. What a newsroom wrote stays in the light DOM, and is shown by the slots between them. Every piece is a
 * `part`, so that the page's own style sheet dresses it.
 */
import { el, type Child } from './dom.js';
import { words } from './words.js';

export interface Chrome {
  connection: HTMLElement;
  updates: HTMLButtonElement;
  order: HTMLButtonElement;
  pause: HTMLButtonElement;
  bar: HTMLElement;
  region: HTMLElement;
  /** Shows a notice over the page, until it is dismissed or another one comes. */
  notice(...said: Child[]): void;
}

const button = (part: string): HTMLButtonElement => el('button', { type: 'button', part });

/** Builds the shadow root of `host`. */
export function chromeOf(host: HTMLElement): Chrome {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  const connection = el('p', { part: 'connection' });
  const updates = button('updates');
  updates.hidden = true;
  const order = button('button order');
  const pause = button('button pause');
  const said = el('div', { part: 'said' });
  const dismiss = el('button', { type: 'button', part: 'dismiss', 'aria-label': words.dismiss }, '×');
  const notice = el('div', { part: 'notice' }, said, dismiss);
  notice.hidden = true;
  dismiss.addEventListener('click', () => {
    notice.hidden = true;
    pause.focus({ preventScroll: true });
  });
  const bar = el(
    'div',
    { part: 'bar', role: 'group', 'aria-label': words.bar },
    connection,
    el('div', { part: 'buttons' }, order, pause),
    el('div', { part: 'float' }, updates, notice),
  );
  const region = el('p', { part: 'status', role: 'status' });
  root.replaceChildren(
    el('slot', { name: 'lede' }),
    el('slot', { name: 'aside' }),
    el('div', { part: 'column' }, bar, el('slot'), region),
  );
  return {
    connection,
    updates,
    order,
    pause,
    bar,
    region,
    notice: (...children) => {
      said.replaceChildren(...children.filter((child): child is Node | string => !!child));
      for (const words of said.children) words.setAttribute('part', 'words');
      for (const link of said.querySelectorAll('a')) link.setAttribute('part', 'link');
      notice.hidden = false;
    },
  };
}
