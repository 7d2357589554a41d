/** An entry as readers see it: in the preview, and on its card. Made of text but for the body, which the broker made. */
import { h, putBrokerHtml } from './dom.js';
import type { Author, RelatedLink, Source, Verification } from './fields.js';

/** What is shown of an entry, published or not. */
export interface Shown {
  headline?: string | undefined;
  body_html: string;
  authors?: Author[] | undefined;
  sources?: Source[] | undefined;
  related_links?: RelatedLink[] | undefined;
  tags?: string[] | undefined;
  key_event?: boolean | undefined;
  pinned?: boolean | undefined;
  verification?: Verification | undefined;
  correction?: { note: string } | undefined;
}

const VERIFICATIONS: Record<Verification, string> = {
  confirmed: 'Confirmed',
  unconfirmed: 'Unconfirmed',
  disputed: 'Disputed',
  developing: 'Developing',
};

/** Its parts, in the reader's order. `level` is that of its headline. */
export function article(entry: Shown, level: 'h3' | 'h4'): HTMLElement[] {
  const parts: HTMLElement[] = [];
  const badges = [
    entry.pinned && badge('is-pinned', 'Pinned'),
    entry.key_event && badge('is-key', 'Key event'),
    entry.verification && badge(`is-${entry.verification}`, VERIFICATIONS[entry.verification]),
  ].filter((each): each is HTMLElement => each instanceof HTMLElement);
  if (badges.length) parts.push(h('p', { class: 'badges' }, ...badges));
  if (entry.headline?.trim()) parts.push(h(level, { class: 'headline', dir: 'auto' }, entry.headline));
  const names = (entry.authors ?? []).map(({ name }) => name);
  if (names.length) parts.push(h('p', { class: 'byline' }, names.join(', ')));
  if (entry.correction?.note) {
    parts.push(h('p', { class: 'correction' }, h('strong', {}, 'Correction'), ' ', entry.correction.note));
  }
  if (entry.body_html) {
    const body = h('div', { class: 'body', dir: 'auto' });
    putBrokerHtml(body, entry.body_html);
    parts.push(body);
  }
  if (entry.related_links?.length) {
    parts.push(h('ul', { class: 'related' }, ...entry.related_links.map(({ title, url }) => h('li', {}, link(title, url)))));
  }
  if (entry.sources?.length) parts.push(sources(entry.sources));
  if (entry.tags?.length) {
    parts.push(h('ul', { class: 'tags', 'aria-label': 'Tags' }, ...entry.tags.map((tag) => h('li', {}, tag))));
  }
  return parts;
}

function badge(kind: string, words: string): HTMLElement {
  return h('span', { class: `badge ${kind}` }, words);
}

function sources(list: readonly Source[]): HTMLElement {
  const line = h('p', { class: 'sources' }, list.length === 1 ? 'Source: ' : 'Sources: ');
  list.forEach(({ name, url, role }, index) => {
    line.append(index ? ', ' : '', link(name, url), role ? ` (${role})` : '');
  });
  return line;
}

/** A link, where the address is one that a page may link to; else its words. */
export function link(words: string, url: string | undefined): HTMLElement {
  if (!url || !/^https?:\/\//i.test(url)) return h('span', {}, words);
  return h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, words);
}
