/**
 * Elements, made without a template: text stays text. The one way for HTML into the desk is {@link putBrokerHtml}, for
 * what the broker has sanitised; the page's policy (Trusted Types) refuses every other.
 */
type Child = Node | string | number | false | null | undefined;
type Value = string | number | boolean | null | undefined | ((event: never) => void);

/** Set as properties: as attributes they would only say how it began. */
const PROPERTIES = new Set(['value', 'checked', 'disabled', 'hidden', 'open', 'selected', 'tabIndex']);

interface Policy {
  createHTML(html: string): string;
}

/** The name stands in the page's Content-Security-Policy. */
const policy: Policy = (
  globalThis as unknown as { trustedTypes?: { createPolicy(name: string, rules: Policy): Policy } }
).trustedTypes?.createPolicy('tenbells-desk', { createHTML: (html) => html }) ?? { createHTML: (html) => html };

let ids = 0;

/** An id that no other element of this page has. */
export function freshId(prefix: string): string {
  return `${prefix}-${++ids}`;
}

/** An element: `h('button', { type: 'button', onclick: send }, 'Send')`. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(name.slice(2), value as EventListener);
    else if (PROPERTIES.has(name)) (node as unknown as Record<string, Value>)[name] = value ?? false;
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  node.append(...kept(children));
  return node;
}

/** Puts these children in place of those that are there. */
export function fill(node: Element, ...children: Child[]): void {
  node.replaceChildren(...kept(children));
}

function kept(children: readonly Child[]): (Node | string)[] {
  return children
    .filter((child) => child !== false && child !== null && child !== undefined && child !== '')
    .map((child) => (child instanceof Node ? child : String(child)));
}

/** A button that does one thing. */
export function button(label: string, onclick: () => void, attributes: Record<string, Value> = {}): HTMLButtonElement {
  return h('button', { type: 'button', onclick, ...attributes }, label);
}

/** Shows HTML that the broker has sanitised. Its links open beside the desk, so that a slip of the hand leaves no draft. */
export function putBrokerHtml(node: Element, html: string): void {
  node.innerHTML = policy.createHTML(html);
  for (const link of node.querySelectorAll('a[href]')) {
    link.setAttribute('target', '_blank');
    link.setAttribute('rel', 'noopener noreferrer');
  }
  // What may be wider than the page is scrolled by keyboard, too.
  for (const wide of node.querySelectorAll('table, pre')) wide.setAttribute('tabindex', '0');
}

/** Puts `next` in place of `old`, with the focus on what does the same (`data-do`), where it was inside. */
export function replaceKeepingFocus(old: HTMLElement, next: HTMLElement): void {
  const active = document.activeElement;
  const held = active instanceof HTMLElement && old.contains(active) ? active.dataset['do'] : undefined;
  old.replaceWith(next);
  if (held) next.querySelector<HTMLElement>(`[data-do="${held}"]`)?.focus();
}
