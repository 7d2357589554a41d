/**
 * What a topic's entries are just now, from three sides that race: the snapshot, the changes behind it, and the answers to
 * the desk's own writes. Whole state wins by its revision, and a retraction is final. Pure; knows no element and no call.
 */
import type { Change, Entry, Topic } from 'tenbells';

export interface Tombstone {
  id: string;
  retracted: true;
  reason?: string;
  retracted_at: string;
}
/** An entry, or what stays of a retracted one. */
export type Item = Entry | Tombstone;

export function isTombstone(item: Item): item is Tombstone {
  return 'retracted' in item;
}

export interface Snapshot {
  position: string;
  entries: Item[];
  next: string | null;
}

export class Blog {
  /** Newest first, by the offset of publication. */
  #items: { item: Item; order: number }[] = [];
  /** Where the next older page begins; none where there is none. */
  next: string | null = null;
  topic: Topic;

  constructor(topic: Topic) {
    this.topic = topic;
  }

  get items(): readonly Item[] {
    return this.#items.map(({ item }) => item);
  }

  find(id: string): Item | undefined {
    return this.#items.find(({ item }) => item.id === id)?.item;
  }

  /** Begins anew from a snapshot. */
  begin(snapshot: Snapshot): void {
    this.#items = [];
    this.next = snapshot.next;
    this.#append(snapshot.entries);
  }

  /** Adds an older page. It may be true at a later position than what is here. */
  addOlder(page: Snapshot): void {
    this.next = page.next;
    this.#append(page.entries);
  }

  #append(items: Item[]): void {
    for (const item of items) {
      if (this.find(item.id)) this.#put(item, 0);
      // All of a snapshot is older than any change behind it, and in order.
      else this.#items.push({ item, order: 0 });
    }
  }

  /** Applies a change; gives the id of the entry that is another now, or `topic`, or nothing. */
  apply(change: Change): string | undefined {
    switch (change.kind) {
      case 'entry.published':
      case 'entry.revised':
        // A revision of an entry that isn't here belongs to an older page.
        if (change.kind === 'entry.revised' && !this.find(change.entry!.id)) return undefined;
        return this.#put(change.entry!, change.offset) ? change.entry!.id : undefined;
      case 'entry.retracted': {
        const tombstone: Tombstone = { id: change.id!, retracted: true, retracted_at: change.at };
        if (change.reason !== undefined) tombstone.reason = change.reason;
        return this.retract(tombstone);
      }
      case 'topic.updated':
        return this.setTopic(change.state!) ? 'topic' : undefined;
      default:
        return undefined;
    }
  }

  /** Takes an entry out of an answer to a write, which may come before its change does, or after. */
  take(entry: Entry, offset: number | undefined): boolean {
    if (!this.find(entry.id) && offset === undefined) return false;
    return this.#put(entry, offset ?? 0);
  }

  /** Puts a tombstone in place of an entry; gives its id where that is new. */
  retract(tombstone: Tombstone): string | undefined {
    const found = this.#items.find(({ item }) => item.id === tombstone.id);
    if (!found || isTombstone(found.item)) return undefined;
    found.item = tombstone;
    return tombstone.id;
  }

  /** After a reset: whatever comes of the topic next is newer than what is here. */
  forgetTopic(): void {
    this.topic = { ...this.topic, revision: 0 };
  }

  setTopic(topic: Topic): boolean {
    if (topic.revision < this.topic.revision) return false;
    this.topic = topic;
    return true;
  }

  #put(item: Item, order: number): boolean {
    const found = this.#items.find((other) => other.item.id === item.id);
    if (found) {
      if (isTombstone(found.item)) return false;
      if (!isTombstone(item) && item.revision <= found.item.revision) return false;
      found.item = item;
      return true;
    }
    const index = this.#items.findIndex((other) => other.order < order);
    this.#items.splice(index < 0 ? this.#items.length : index, 0, { item, order });
    return true;
  }
}
