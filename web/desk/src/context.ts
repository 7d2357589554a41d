/** What the parts of a signed-in desk share. */
import type { Api, Grant } from './api.js';
import type { Keep } from './keep.js';
import type { Outbox } from './outbox.js';
import type { Tab } from './tab.js';

export interface Context {
  api: Api;
  keep: Keep;
  tab: Tab;
  outbox: Outbox;
  /** What the key may do. */
  grant: Grant;
  /** What the editor wants to be called. */
  name: string;
  /** Tells something to whoever listens to the page instead of seeing it. */
  say(text: string): void;
  /** Shows that something was done, and takes it back on request. */
  offerUndo(text: string, undo: () => void): void;
  /** Shows what went wrong with something that isn't a write. */
  complain(text: string): void;
}

/** Whether the key may see embargoes and other desks. */
export function mayInspect({ grant }: Context): boolean {
  return grant.rights.includes('inspect');
}
