/** Small parts of building elements. Text stays text: only trusted.ts makes HTML. */

type Attributes = Readonly<Record<string, string | number | null | undefined | false>>;
export type Child = Node | string | null | undefined;

/** An element; attributes and children without a value are left out. */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child): child is Node | string => child !== null && child !== undefined && child !== ''));
  return node;
}

/** A link where the address is http or https (or of the broker itself), and plain text where it isn't. */
export function link(text: string, url: string | undefined, attributes: Attributes = {}): Child {
  const href = url && webUrl(url);
  return href ? el('a', { ...attributes, href }, text) : text;
}

function webUrl(text: string): string | undefined {
  try {
    return /^https?:$/.test(new URL(text).protocol) ? text : undefined;
  } catch {
    return undefined;
  }
}

export const filled = (text: string | undefined): string | undefined => (text?.trim() ? text : undefined);

/** The part of an element that a template marks with `data-live="name"`; templates may leave parts out. */
export const part = (root: ParentNode, name: string): HTMLElement | null => root.querySelector(`[data-live="${name}"]`);

/** Work in slices of at most about this many ms, with the page free in between. */
const SLICE = 12;

/** Lets the browser paint and take input. */
export const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => resolve();
    channel.port2.postMessage(0);
  });

/** Does `step` for each item, a slice at a time. Ends early where `goesOn` says no. */
export async function sliced<Item>(items: Iterable<Item>, step: (item: Item) => void, goesOn = (): boolean => true): Promise<void> {
  let until = performance.now() + SLICE;
  for (const item of items) {
    if (performance.now() > until) {
      await breathe();
      until = performance.now() + SLICE;
    }
    if (!goesOn()) return;
    step(item);
  }
}
