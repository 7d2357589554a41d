/** A bounded queue between events and an async iterator: an event can't wait, an iterator's reader may be slow. */

/** An iterator, and the way into it. */
export interface Buffer<Item> {
  push(item: Item): void;
  /** Nothing more comes; what is there is still given. */
  end(): void;
  items: AsyncIterableIterator<Item>;
}

/** Holds `limit` items; one more, and the iteration ends with a RangeError behind those that it has. */
export function createBuffer<Item>(limit: number, onEnd: () => void): Buffer<Item> {
  const held: Item[] = [];
  let isOver = false;
  let isFull = false;
  let wake = (): void => {};
  const end = (): void => {
    isOver = true;
    onEnd();
    wake();
  };
  return {
    push(item) {
      if (held.length < limit) held.push(item);
      else {
        isFull = true;
        end();
      }
      wake();
    },
    end,
    items: (async function* () {
      try {
        for (;;) {
          if (held.length) yield held.shift()!;
          else if (isFull) throw new RangeError(`more than ${limit} changes waited`);
          else if (isOver) return;
          else await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        end();
      }
    })(),
  };
}
