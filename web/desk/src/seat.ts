/**
 * Who is signed in, and what this device remembers of an editor: the key, the name, and the bylines that were used.
 *
 * The key is kept in sessionStorage: it is gone with the tab, and no other tab has it. Only where the editor asks for it
 * ("remember on this device") it is in localStorage. It is never in a URL, a cookie or a log. Why: docs/desk.md.
 */
import type { Author } from './fields.js';

const KEY = 'tenbells-desk-key';
const NAME = 'tenbells-desk-name';
const BYLINES = 'tenbells-desk-bylines';
/** How many names are remembered. */
const BYLINES_MAX = 40;

/** The key of this tab or device, if there is one. */
export function storedKey(): string | undefined {
  return read(sessionStorage, KEY) ?? read(localStorage, KEY);
}

export function isRemembered(): boolean {
  return read(localStorage, KEY) !== undefined;
}

/** Keeps the key: for this tab, or for this device. */
export function storeKey(key: string, on: 'tab' | 'device'): void {
  forgetKey();
  write(on === 'tab' ? sessionStorage : localStorage, KEY, key);
}

/** Forgets the key, in this tab and on this device. Other tabs hear of it. */
export function forgetKey(): void {
  write(sessionStorage, KEY, undefined);
  write(localStorage, KEY, undefined);
}

/** Calls `gone` when another tab forgets the key of this device. */
export function onKeyForgotten(gone: () => void): void {
  addEventListener('storage', ({ key, newValue }) => {
    if ((key === KEY && newValue === null) || key === null) gone();
  });
}

export function storedName(): string {
  return read(localStorage, NAME) ?? '';
}

export function storeName(name: string): void {
  write(localStorage, NAME, name);
}

/** Names that were used in bylines, and those of the last entry, which the next one begins with. */
export interface Bylines {
  last: Author[];
  known: Author[];
}

export function bylines(): Bylines {
  try {
    const { last, known } = JSON.parse(read(localStorage, BYLINES) ?? '{}') as Partial<Bylines>;
    return { last: Array.isArray(last) ? last : [], known: Array.isArray(known) ? known : [] };
  } catch {
    return { last: [], known: [] };
  }
}

export function rememberByline(last: Author[]): void {
  const others = bylines().known.filter(({ name }) => !last.some((author) => author.name === name));
  write(localStorage, BYLINES, JSON.stringify({ last, known: [...last, ...others].slice(0, BYLINES_MAX) }));
}

/** Forgets everything but the key. */
export function forgetEditor(): void {
  write(localStorage, NAME, undefined);
  write(localStorage, BYLINES, undefined);
}

// A browser may refuse its storage: then nothing is remembered, and the desk works all the same.
function read(storage: Storage, name: string): string | undefined {
  try {
    return storage.getItem(name) ?? undefined;
  } catch {
    return undefined;
  }
}

function write(storage: Storage, name: string, value: string | undefined): void {
  try {
    if (value === undefined) storage.removeItem(name);
    else storage.setItem(name, value);
  } catch {
    // As above.
  }
}
