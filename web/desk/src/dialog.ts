/** A modal dialog: the browser's own, so that focus, Escape and what is behind it are its matter. */
import { button, freshId, h } from './dom.js';

export interface Dialog {
  readonly node: HTMLDialogElement;
  close(): void;
}

/** Opens one with a title. It is removed when it closes, and the focus goes back to where it was. */
export function openDialog(title: string, content: (HTMLElement | string | false | undefined)[], kind = ''): Dialog {
  const id = freshId('dialog');
  const before = document.activeElement;
  const close = (): void => node.close();
  const node = h('dialog', { class: `dialog ${kind}`, 'aria-labelledby': id, onclose: () => {
    node.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  } },
  h('header', {}, h('h2', { id }, title), button('×', close, { class: 'plain', 'aria-label': 'Close', title: 'Close' })));
  node.append(...content.filter((each): each is HTMLElement | string => Boolean(each)));
  document.body.append(node);
  node.showModal();
  return { node, close };
}

/** A form in a dialog: sent by its button, by Enter in a line, and by Ctrl or Cmd and Enter anywhere. */
export function dialogForm(send: string, submit: () => void, close: () => void, danger = false, ...fields: (HTMLElement | false)[]): HTMLFormElement {
  return h('form', {
    novalidate: true,
    onsubmit: (event: Event) => {
      event.preventDefault();
      submit();
    },
    onkeydown: (event: KeyboardEvent) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      submit();
    },
  }, ...fields, h('div', { class: 'send' },
    h('button', { type: 'submit', class: danger ? 'danger solid' : 'primary' }, send), button('Cancel', close)));
}
