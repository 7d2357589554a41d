/**
 * An entry, or what is left of one, as the page shows it: the same elements as the server's article.html. A change here is
 * a change there.
 */
import type { Entry, TopicLink } from 'tenbells';
import { el, filled, link, type Child } from './dom.js';
import { localiseAll } from './times.js';
import { bodyOf } from './trusted.js';
import { sources, verification, words } from './words.js';

/** Longest label of an entry without a headline, in characters. */
const LABEL_MAX = 80;

/** Where the blog is: what links are made with. */
export interface Place {
  /** The broker, `https://host`; empty on its own pages. */
  base: string;
  topic: string;
}

/** What is left of a retracted entry. */
export interface Tombstone {
  id: string;
  reason?: string | undefined;
  at: string;
}

/** The address of an entry that is good for ever: the server finds the page that it stands on. */
export const permalink = ({ base, topic }: Place, id: string): string =>
  `${base}/t/${topic}?entry=${encodeURIComponent(id)}#e-${encodeURIComponent(id)}`;

/** What lists call an entry: its headline, or the first words of its body. */
export function titleOf(entry: Entry): string {
  const headline = filled(entry.headline);
  if (headline) return headline;
  const text = (bodyOf(entry.body_html).textContent ?? '').trim().replace(/\s+/g, ' ');
  const letters = [...text];
  return letters.length > LABEL_MAX ? `${letters.slice(0, LABEL_MAX).join('').replace(/\s\S*$/, '')}…` : text;
}

/** When an entry got its place: the order of lists that have no offsets. */
export const orderOf = (entry: Entry): number =>
  Math.max(Date.parse(entry.created_at), entry.released_at ? Date.parse(entry.released_at) : 0);

export const timeOf = (at: string): HTMLTimeElement => el('time', { datetime: at }, at);

/** An entry as an article of the feed. */
export function articleOf(place: Place, entry: Entry, offset: number): HTMLElement {
  const article = el(
    'article',
    {
      id: `e-${entry.id}`,
      class: `entry${entry.key_event ? ' key' : ''}${entry.pinned ? ' pinned' : ''}`,
      'data-entry': entry.id,
      'data-offset': offset,
      'data-revision': entry.revision,
    },
    stamp(place, entry.id, entry.published_at),
    content(entry),
  );
  localiseAll(article);
  return article;
}

/** A copy for the top of the page: the original stays in its place, and keeps the anchor. */
export function pinOf(place: Place, entry: Entry): HTMLElement {
  const article = articleOf(place, entry, 0);
  article.id = `pin-${entry.id}`;
  article.dataset['order'] = String(orderOf(entry));
  delete article.dataset['offset'];
  article.querySelector('.content')!.append(
    el('p', { class: 'original' }, el('a', { href: permalink(place, entry.id), 'data-to': entry.id }, words.inPlace)),
  );
  return article;
}

export function tombstoneOf(place: Place, { id, reason, at }: Tombstone, offset: number | string): HTMLElement {
  const said = el('p', {}, words.retracted);
  if (reason) said.append(' ', el('span', { class: 'reason' }, reason));
  const article = el(
    'article',
    { id: `e-${id}`, class: 'entry tombstone', 'data-entry': id, 'data-offset': offset },
    stamp(place, id, at),
    el('div', { class: 'content' }, said),
  );
  localiseAll(article);
  return article;
}

/** A link to another live blog. */
export function topicLink(base: string, target: TopicLink, rel: string): Child {
  const text = filled(target.title) ?? target.topic ?? target.url ?? '';
  if (target.topic) return el('a', { href: `${base}/t/${encodeURIComponent(target.topic)}`, rel }, text);
  return link(text, target.url, { rel });
}

function stamp(place: Place, id: string, at: string): HTMLElement {
  return el(
    'p',
    { class: 'stamp' },
    el('a', { href: permalink(place, id), 'data-to': id, title: words.permalink }, timeOf(at)),
    el('span', { class: 'ago' }),
  );
}

function content(entry: Entry): HTMLElement {
  return el(
    'div',
    { class: 'content' },
    badges(entry),
    filled(entry.headline) ? el('h3', {}, entry.headline) : null,
    byline(entry.authors),
    entry.correction
      ? el('p', { class: 'correction' }, el('strong', {}, words.correction), ' ', entry.correction.note)
      : null,
    entry.body_html ? el('div', { class: 'body' }, bodyOf(entry.body_html)) : null,
    entry.related_links.length
      ? el('ul', { class: 'related' }, ...entry.related_links.map(({ title, url }) => el('li', {}, link(title, url))))
      : null,
    sourceLine(entry.sources),
    entry.tags.length
      ? el('ul', { class: 'tags', 'aria-label': words.tags }, ...entry.tags.map((tag) => el('li', {}, tag)))
      : null,
    entry.revision > 1 ? el('p', { class: 'revised' }, `${words.revised} `, timeOf(entry.updated_at)) : null,
  );
}

function badges(entry: Entry): HTMLElement | null {
  const found: [string, string][] = [];
  if (entry.pinned) found.push(['pinned', words.isPinned]);
  if (entry.key_event) found.push(['key', words.isKey]);
  const verified = verification(entry.verification);
  if (verified) found.push([entry.verification!, verified]);
  if (!found.length) return null;
  return el('p', { class: 'badges' }, ...found.flatMap(([name, text]) => [el('span', { class: `badge is-${name}` }, text), ' ']));
}

function byline(authors: Entry['authors']): HTMLElement | null {
  if (!authors.length) return null;
  const line = el('p', { class: 'byline' });
  authors.forEach(({ name, type, url }, index) => {
    const kind = type === 'organization' ? 'organization' : 'person';
    if (index === 0) line.append(kind === 'person' ? words.by : '');
    else line.append(index === authors.length - 1 ? words.and : ', ');
    const linked = link(name, url, { class: kind, rel: 'author' });
    line.append(typeof linked === 'object' && linked ? linked : el('span', { class: kind }, name));
  });
  return line;
}

function sourceLine(list: Entry['sources']): HTMLElement | null {
  if (!list.length) return null;
  const line = el('p', { class: 'sources' }, sources(list.length));
  list.forEach(({ name, url, role }, index) => {
    line.append(index ? ', ' : '', link(name, url) ?? '', role ? ` (${role})` : '');
  });
  return line;
}
