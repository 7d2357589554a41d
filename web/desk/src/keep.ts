/**
 * What must outlive the tab: drafts, and writes whose answer isn't there yet, in IndexedDB. A promise that has been kept
 * means that the browser has committed it. Each record belongs to one tab (see tab.ts); what a tab left behind is taken
 * over by the next one that opens its topic. Knows nothing of how they are sent or shown.
 */
import type { EntryFields, Json } from './fields.js';

/** An entry that is being written, or a revision of one. */
export interface Draft {
  id: string;
  owner: string;
  topic: string;
  updatedAt: number;
  fields: EntryFields;
  /** For a revision: the entry as it was when the editor began. */
  base?: Base | undefined;
}

export interface Base {
  entry: string;
  revision: number;
  fields: EntryFields;
  /** Under embargo. */
  held: boolean;
}

/** A write that was begun. It is forgotten once its answer is there, or the editor says so. */
export interface Write {
  id: string;
  owner: string;
  topic: string;
  what: 'publish' | 'revise' | 'retract' | 'mark' | 'release' | 'move' | 'drop' | 'topic' | 'end' | 'reopen';
  /** What the editor calls it: the headline, or the first words. */
  label: string;
  /** The entry that it is about. */
  entry?: string | undefined;
  method: string;
  path: string;
  body?: string | undefined;
  ifMatch?: number | undefined;
  idempotencyKey: string;
  /** What it was made from, to go on with where it is refused. */
  draft?: Draft | undefined;
  /** For the topic's details: likewise. */
  details?: { base: Json; mine: Json } | undefined;
  /** When the embargo of what is published ends. */
  releasedAt?: string | undefined;
  madeAt: number;
  /** An attempt may have been stored without the desk having heard of it. */
  isUncertain: boolean;
}

export interface Keep {
  /** Whether it outlives the tab. */
  readonly isLasting: boolean;
  drafts(): Promise<Draft[]>;
  writes(): Promise<Write[]>;
  putDraft(draft: Draft): Promise<void>;
  dropDraft(id: string): Promise<void>;
  /** Keeps a write, and forgets the draft that it was made from, in one step. */
  putWrite(write: Write, draft?: string): Promise<void>;
  dropWrite(id: string): Promise<void>;
  clear(): Promise<void>;
}

const NAME = 'tenbells-desk';
const VERSION = 1;

/** Opens it. Where the browser has no such store (or refuses it), what is kept lives as long as the tab. */
export async function openKeep(): Promise<Keep> {
  try {
    return new Lasting(await opened());
  } catch {
    return new Passing();
  }
}

function opened(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('drafts', { keyPath: 'id' });
      request.result.createObjectStore('writes', { keyPath: 'id' });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('blocked'));
  });
}

type Store = 'drafts' | 'writes';

class Lasting implements Keep {
  readonly isLasting = true;

  constructor(private readonly db: IDBDatabase) {
    // A newer desk in another tab wants another layout: it must not wait for this one.
    db.onversionchange = () => db.close();
  }

  drafts(): Promise<Draft[]> {
    return this.#all('drafts');
  }

  writes(): Promise<Write[]> {
    return this.#all('writes');
  }

  putDraft(draft: Draft): Promise<void> {
    return this.#change(['drafts'], (store) => store('drafts').put(draft));
  }

  dropDraft(id: string): Promise<void> {
    return this.#change(['drafts'], (store) => store('drafts').delete(id));
  }

  putWrite(write: Write, draft?: string): Promise<void> {
    return this.#change(['drafts', 'writes'], (store) => {
      store('writes').put(write);
      if (draft !== undefined) store('drafts').delete(draft);
    });
  }

  dropWrite(id: string): Promise<void> {
    return this.#change(['writes'], (store) => store('writes').delete(id));
  }

  clear(): Promise<void> {
    return this.#change(['drafts', 'writes'], (store) => {
      store('drafts').clear();
      store('writes').clear();
    });
  }

  #change(stores: Store[], change: (store: (name: Store) => IDBObjectStore) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.db.transaction(stores, 'readwrite', { durability: 'strict' });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      change((name) => transaction.objectStore(name));
    });
  }

  #all<Kept>(store: Store): Promise<Kept[]> {
    return new Promise((resolve, reject) => {
      const request = this.db.transaction(store).objectStore(store).getAll();
      request.onsuccess = () => resolve(request.result as Kept[]);
      request.onerror = () => reject(request.error);
    });
  }
}

class Passing implements Keep {
  readonly isLasting = false;
  readonly #drafts = new Map<string, Draft>();
  readonly #writes = new Map<string, Write>();

  drafts(): Promise<Draft[]> {
    return Promise.resolve([...this.#drafts.values()]);
  }

  writes(): Promise<Write[]> {
    return Promise.resolve([...this.#writes.values()]);
  }

  async putDraft(draft: Draft): Promise<void> {
    this.#drafts.set(draft.id, structuredClone(draft));
  }

  async dropDraft(id: string): Promise<void> {
    this.#drafts.delete(id);
  }

  async putWrite(write: Write, draft?: string): Promise<void> {
    this.#writes.set(write.id, structuredClone(write));
    if (draft !== undefined) this.#drafts.delete(draft);
  }

  async dropWrite(id: string): Promise<void> {
    this.#writes.delete(id);
  }

  async clear(): Promise<void> {
    this.#drafts.clear();
    this.#writes.clear();
  }
}
