/**
 * This tab, as the owner of what it keeps. It holds a Web Lock for as long as it lives, which the browser lets go of when
 * the tab is closed, reloaded or crashes: so another tab knows, without a guess about time, whose drafts are left behind.
 */
import { ulid } from './ulid.js';

const PREFIX = 'tenbells-desk-tab-';

export class Tab {
  readonly id = ulid();

  /** Holds the lock from now on. */
  static async open(): Promise<Tab> {
    const tab = new Tab();
    await new Promise<void>((held) => {
      if (!locks()) return held();
      void locks()!.request(PREFIX + tab.id, () => {
        held();
        return new Promise(() => {});
      });
    });
    return tab;
  }

  /**
   * Calls `then` once the tab of that name is gone. Only one tab is called at a time. In a browser without Web Locks (a page
   * that came neither over https nor from this machine) every other tab counts as gone.
   */
  async whenGone(owner: string, signal: AbortSignal, then: () => Promise<void>): Promise<void> {
    if (owner === this.id) return;
    try {
      if (!locks()) await then();
      else await locks()!.request(PREFIX + owner, { signal }, then);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

function locks(): LockManager | undefined {
  return navigator.locks as LockManager | undefined;
}
