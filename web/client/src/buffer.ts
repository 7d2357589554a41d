/** A bounded queue between events and an async iterator: an event can't wait, an iterator's reader may be slow. */

/** An iterator, and the way into it. */
export interface Buffer<Item> extends AsyncIterableIterator<Item> {
  push(item: Item): void;
  /** Nothing more comes; what is there is still given. */
  end(): void;
}

/** Holds `limit` items; one more, and the iteration ends with a RangeError behind those that it has. */
export function createBuffer<Item>(limit: number, onEnd: (buffer: Buffer<Item>) => void): Buffer<Item> {
  const items: Item[] = [];
  const readers: { resolve(result: IteratorResult<Item>): void; reject(error: Error): void }[] = [];
  let isOver = false;
  let error: Error | undefined;
  const settle = (): void => {
    while (readers.length && (items.length || isOver)) {
      const { resolve, reject } = readers.shift()!;
      if (items.length) resolve({ done: false, value: items.shift()! });
      else if (error) {
        reject(error);
        error = undefined;
      } else resolve({ done: true, value: undefined });
    }
  };
  const buffer: Buffer<Item> = {
    push(item) {
      if (isOver) return;
      if (items.length < limit) items.push(item);
      else {
        error = new RangeError(`more than ${limit} changes wait to be read`);
        buffer.end();
      }
      settle();
    },
    end() {
      isOver = true;
      onEnd(buffer);
      settle();
    },
    next: () =>
      new Promise((resolve, reject) => {
        readers.push({ resolve, reject });
        settle();
      }),
    async return() {
      items.length = 0;
      buffer.end();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => buffer,
  };
  return buffer;
}
