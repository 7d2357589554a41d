/**
 * What has come and is not on the page yet: new entries that wait until they move nothing, and, while the reader has paused,
 * revisions and the topic too. Whole states by id, so a paused page holds no more than the blog has. A retraction takes a
 * body out of here at once. Pure.
 */
import type { Entry, Topic } from 'tenbells';
import type { Tombstone } from './article.js';

/** A new entry that waits, or what is left of it. */
export type Waiting = { offset: number } & ({ entry: Entry } | { gone: Tombstone });

export class Held {
  /** New entries, in the order of their offsets. */
  readonly fresh = new Map<string, Waiting>();
  /** Newer states of entries that are on the page. */
  readonly revised = new Map<string, Entry>();
  topic: Topic | undefined;

  /** How many of the new ones there is something to read of. */
  get count(): number {
    let count = 0;
    for (const waiting of this.fresh.values()) if ('entry' in waiting) count += 1;
    return count;
  }

  add(entry: Entry, offset: number): void {
    if (!this.fresh.has(entry.id)) this.fresh.set(entry.id, { entry, offset });
  }

  /** Takes in a revision of a new entry. Whether there was one. */
  revise(entry: Entry): boolean {
    const waiting = this.fresh.get(entry.id);
    if (waiting && 'entry' in waiting) this.fresh.set(entry.id, { entry, offset: waiting.offset });
    return !!waiting;
  }

  /** Lets go of a body. Whether a new entry of that id waits. */
  retract(gone: Tombstone): boolean {
    this.revised.delete(gone.id);
    const waiting = this.fresh.get(gone.id);
    if (waiting) this.fresh.set(gone.id, { gone, offset: waiting.offset });
    return !!waiting;
  }

  /** Takes the oldest new one out. */
  take(): [string, Waiting] | undefined {
    const [first] = this.fresh;
    if (first) this.fresh.delete(first[0]);
    return first;
  }

  clear(): void {
    this.fresh.clear();
    this.revised.clear();
    this.topic = undefined;
  }
}
