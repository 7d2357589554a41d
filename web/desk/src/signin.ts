/** Signing in with a key, and out again. The key goes into a header of a call, and never through a form's address. */
import { Api, Problem, type Grant } from './api.js';
import { openDialog } from './dialog.js';
import { button, fill, h } from './dom.js';
import { labelled } from './form.js';
import type { Keep } from './keep.js';
import type { Outbox } from './outbox.js';
import { forgetEditor, storedName, storeKey, storeName } from './seat.js';

/** What a key may do, or why it is no key for a desk. */
export async function askGrant(key: string): Promise<Grant | string> {
  try {
    const grant: Grant = await new Api(key).get('/v1/key');
    return grant.rights.includes('publish') ? grant : `This is a ${grant.role} key: it may read, but not publish.`;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return 'The key is not known, or it was revoked.';
    throw error;
  }
}

/** The form; `done` gets the key that was found good. */
export function signIn(notice: string | undefined, done: (key: string, grant: Grant) => void): HTMLElement {
  const name = h('input', { value: storedName(), autocomplete: 'name', maxlength: 60 });
  const key = h('input', { type: 'password', autocomplete: 'current-password', spellcheck: 'false', autocapitalize: 'none' });
  const remember = h('input', { type: 'checkbox' });
  const error = h('p', { class: 'error', role: 'alert' }, notice);
  const send = h('button', { type: 'submit', class: 'primary' }, 'Sign in');
  const submit = async (): Promise<void> => {
    const token = key.value.trim();
    if (!/^[\x21-\x7e]+$/.test(token)) {
      fill(error, token ? 'That isn’t a key: it has characters that no key has.' : 'Paste the key that you were given.');
      return key.focus();
    }
    send.disabled = true;
    try {
      const grant = await askGrant(token);
      if (typeof grant === 'string') {
        fill(error, grant);
        return key.focus();
      }
      storeName(name.value.trim());
      storeKey(token, remember.checked ? 'device' : 'tab');
      done(token, grant);
    } catch {
      fill(error, 'The broker can’t be reached. Nothing was sent on; try again.');
    } finally {
      send.disabled = false;
    }
  };
  return h('main', { class: 'signin' },
    h('h1', {}, 'Tenbells desk'),
    h('form', { method: 'post', novalidate: true, onsubmit: (event: Event) => {
      event.preventDefault();
      void submit();
    } },
    labelled('Your name', name, 'Other desks see it. Readers don’t, unless you sign with it.'),
    labelled('Key', key),
    h('label', { class: 'check' }, remember, 'Remember the key on this device'),
    h('p', { class: 'hint' }, 'Otherwise it is forgotten when this tab is closed. Don’t remember it on a device that others use.'),
    error, send),
    !isSecureContext && h('p', { class: 'notice is-wrong' },
      'This page didn’t come over https: whoever is on the way can read the key.'));
}

/** Signs out; asks what becomes of what is still kept here. */
export async function signOut(keep: Keep, outbox: Outbox, leave: () => void): Promise<void> {
  const [drafts, writes] = await Promise.all([keep.drafts(), keep.writes()]).catch(() => [[], []] as [[], []]);
  const count = drafts.length + writes.length;
  if (count === 0) return leave();
  const dialog = openDialog('Sign out', [
    h('p', {}, `${count === 1 ? 'One text' : `${count} texts`} that nobody has published ${count === 1 ? 'is' : 'are'} kept on this device.`),
    h('div', { class: 'send' },
      button('Keep and sign out', () => {
        dialog.close();
        leave();
      }, { class: 'primary' }),
      button('Delete and sign out', () => {
        dialog.close();
        forgetEditor();
        outbox.clear();
        // In this order: what is open is kept once more when it is left.
        leave();
        void keep.clear().catch(() => {});
      }, { class: 'danger' }),
      button('Stay', () => dialog.close())),
  ]);
}
