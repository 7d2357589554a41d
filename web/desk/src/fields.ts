/**
 * An entry and a topic as they are sent (docs/protocol.md, sections 5.1 and 5.3), what a merge patch makes of them, and
 * how two editors' changes of the same one come together. Pure: knows neither the page nor the broker.
 */
export interface Author {
  name: string;
  type?: 'person' | 'organization';
  url?: string;
}
export interface Source {
  name: string;
  url?: string;
  role?: string;
}
export interface RelatedLink {
  title: string;
  url: string;
}
export type Format = 'markdown' | 'html' | 'text';
export type Body = Partial<Record<Format, string>>;
export type Verification = 'confirmed' | 'unconfirmed' | 'disputed' | 'developing';

export interface EntryFields {
  id?: string;
  headline?: string;
  body?: Body;
  authors?: Author[];
  sources?: Source[];
  related_links?: RelatedLink[];
  tags?: string[];
  key_event?: boolean;
  pinned?: boolean;
  verification?: Verification;
  correction?: { note: string };
  published_at?: string;
  released_at?: string;
}

export interface TopicLinkFields {
  topic?: string;
  url?: string;
  title?: string;
}
export interface TopicFields {
  title?: string;
  summary?: string | Body;
  language?: string;
  key_points?: string[];
  visibility?: 'public' | 'private';
  predecessor?: TopicLinkFields;
}

/** What a merge patch is made of and applied to. */
export type Json = Record<string, unknown>;

/** The format of a body, and its text. A new one is Markdown. */
export function written(body: Body | string | undefined): { format: Format; text: string } {
  if (typeof body === 'string') return { format: 'text', text: body };
  for (const format of ['html', 'text', 'markdown'] as const) {
    const text = body?.[format];
    if (text !== undefined) return { format, text };
  }
  return { format: 'markdown', text: '' };
}

/** Whether two values are the same JSON; what is absent is the same as `undefined`. */
export function same(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || !left || !right) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].every((name) => same((left as Json)[name], (right as Json)[name]));
}

/** The merge patch (RFC 7396) that makes `to` out of `from`. Empty where nothing differs. */
export function patchOf(from: object, to: object): Json {
  const [old, next] = [from as Json, to as Json];
  const patch: Json = {};
  for (const name of new Set([...Object.keys(old), ...Object.keys(next)])) {
    const [before, after] = [old[name], next[name]];
    if (same(before, after)) continue;
    if (after === undefined) patch[name] = null;
    else if (isObject(before) && isObject(after)) patch[name] = patchOf(before, after);
    else patch[name] = after;
  }
  return patch;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field that two editors changed, each to something else. */
export interface Clash {
  name: string;
  theirs: unknown;
  mine: unknown;
}

/**
 * Lays my changes since `base` over `theirs`. A field that only one of us changed is that one's; where both did, and not
 * alike, it is a clash, for a person to decide, and stays theirs until then.
 */
export function merged(base: object, theirs: object, mine: object): { fields: Json; clashes: Clash[] } {
  const [was, their, my] = [base as Json, theirs as Json, mine as Json];
  const fields: Json = {};
  const clashes: Clash[] = [];
  for (const name of new Set([...Object.keys(was), ...Object.keys(their), ...Object.keys(my)])) {
    const isMine = !same(was[name], my[name]);
    const isTheirs = !same(was[name], their[name]);
    if (isMine && isTheirs && !same(their[name], my[name])) clashes.push({ name, theirs: their[name], mine: my[name] });
    const value = isMine && !isTheirs ? my[name] : their[name];
    if (value !== undefined) fields[name] = value;
  }
  return { fields, clashes };
}

/** Without what says nothing: empty texts and lists, `false`, and rows that were begun and left empty. */
export function tidy(fields: EntryFields): EntryFields {
  const out: Json = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === false || value === '') continue;
    if (Array.isArray(value) && value.length === 0) continue;
    if (name === 'body' && written(value as Body).text.trim() === '') continue;
    if (name === 'correction' && (value as { note: string }).note.trim() === '') continue;
    out[name] = value;
  }
  return out as EntryFields;
}

/** Whether there is something to publish: a headline, or a body. */
export function saysSomething(fields: EntryFields): boolean {
  return Boolean(fields.headline?.trim()) || written(fields.body).text.trim() !== '';
}

/** A few words of an entry, for where there is no room for more. */
export function inWords(fields: { headline?: string; body?: Body } | undefined, most = 60): string {
  const text = fields?.headline?.trim() || written(fields?.body).text.replace(/\s+/g, ' ').trim();
  return text.length > most ? `${text.slice(0, most - 1).trimEnd()}…` : text;
}
