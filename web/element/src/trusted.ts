/**
 * The one place where text becomes HTML, through the one Trusted Types policy that the broker's pages allow. What goes in
 * was sanitised by the broker (docs/protocol.md, section 5.2), or is a page of the broker's own.
 */
interface Factory {
  createPolicy(name: string, rules: { createHTML(html: string): string }): { createHTML(html: string): unknown };
}

/** Named in the header `Content-Security-Policy: trusted-types`. */
const POLICY = 'tenbells';

function makePolicy(): { createHTML(html: string): unknown } {
  const rules = { createHTML: (html: string): string => html };
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  try {
    return factory?.createPolicy(POLICY, rules) ?? rules;
  } catch {
    // A newsroom's own page may allow no policy of ours; then the browser refuses below, or asks for none.
    return rules;
  }
}

const policy = makePolicy();

/** Sanitised HTML as nodes, with headings that fit below an entry's own: h4 to h6, the shallowest of them h4. */
export function bodyOf(html: string): DocumentFragment {
  const template = document.createElement('template');
  template.innerHTML = policy.createHTML(html) as string;
  const headings = [...template.content.querySelectorAll('h1, h2, h3, h4, h5, h6')];
  const top = Math.min(...headings.map(level));
  for (const heading of headings) {
    const lower = document.createElement(`h${Math.min(6, level(heading) - top + 4)}`);
    for (const { name, value } of heading.attributes) lower.setAttribute(name, value);
    lower.append(...heading.childNodes);
    heading.replaceWith(lower);
  }
  return template.content;
}

function level(heading: Element): number {
  return Number(heading.localName.slice(1));
}

/** A page of the broker as a document of its own, in which nothing runs. */
export function parsePage(html: string): Document {
  return new DOMParser().parseFromString(policy.createHTML(html) as string, 'text/html');
}
