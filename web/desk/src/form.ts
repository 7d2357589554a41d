/**
 * The fields of an entry as a form, and back. What the form doesn't show of an entry (its shown time, a format that isn't
 * Markdown) comes out as it went in.
 */
import { button, fill, freshId, h } from './dom.js';
import { written, type Author, type Body, type EntryFields, type RelatedLink, type Source, type Verification } from './fields.js';
import { Rows, type Row } from './rows.js';
import { bylines, storedName } from './seat.js';
import { ahead, fromLocalInput, inUtc, toLocalInput, zoneAt } from './times.js';

/** What the entry is to become. */
export type Purpose = 'new' | 'revision' | 'held';

/** Which fold a field is in, by how its path begins. */
const FOLDS: [string, string][] = [
  ['authors', 'Byline'], ['sources', 'Sources and links'], ['related_links', 'Sources and links'], ['tags', 'Tags'], ['released_at', 'Embargo'],
];

const FORMATS = { markdown: 'Markdown', html: 'HTML', text: 'Plain text' };

export class EntryForm {
  readonly node: HTMLElement;
  readonly #fields: EntryFields;
  readonly #headline: HTMLInputElement;
  readonly #body: HTMLTextAreaElement;
  readonly #key: HTMLInputElement;
  readonly #pinned: HTMLInputElement;
  readonly #verification: HTMLSelectElement;
  readonly #tags: HTMLInputElement;
  readonly #authors: Rows;
  readonly #sources: Rows;
  readonly #links: Rows;
  readonly #embargo: HTMLInputElement;
  readonly #embargoNote = h('p', { class: 'hint', 'aria-live': 'polite' });
  readonly #correction: HTMLTextAreaElement;
  readonly #summaries = new Map<string, HTMLElement>();

  constructor(
    fields: EntryFields,
    purpose: Purpose,
    private readonly changed: () => void,
  ) {
    this.#fields = fields;
    const oninput = (): void => this.#onInput();
    const { format, text } = written(fields.body);
    this.#headline = h('input', { id: freshId('headline'), class: 'headline-input', value: fields.headline ?? '', oninput, dir: 'auto', 'data-field': 'headline', autocomplete: 'off' });
    this.#body = h('textarea', { id: freshId('body'), class: 'body-input', rows: 6, value: text, oninput, dir: 'auto', 'data-field': 'body' });
    this.#key = h('input', { type: 'checkbox', checked: fields.key_event ?? false, onchange: oninput });
    this.#pinned = h('input', { type: 'checkbox', checked: fields.pinned ?? false, onchange: oninput });
    this.#verification = choice(fields.verification ?? '', [
      ['', 'Not said'], ['confirmed', 'Confirmed'], ['unconfirmed', 'Unconfirmed'], ['disputed', 'Disputed'], ['developing', 'Developing'],
    ], oninput);
    this.#tags = h('input', { id: freshId('tags'), value: (fields.tags ?? []).join(', '), oninput, autocomplete: 'off' });
    const names = h('datalist', { id: freshId('names') }, ...suggestions().map((name) => h('option', { value: name })));
    this.#authors = authorRows(fields.authors ?? [], names.id, oninput);
    this.#sources = new Rows('source', [
      { name: 'name', label: 'Source' }, { name: 'url', label: 'Link (https://…)', type: 'url' }, { name: 'role', label: 'Role (photo …)' },
    ], (fields.sources ?? []) as unknown as Row[], oninput, 'Sources');
    this.#links = new Rows('link', [
      { name: 'title', label: 'Title' }, { name: 'url', label: 'Link (https://…)', type: 'url' },
    ], (fields.related_links ?? []) as unknown as Row[], oninput, 'Related links');
    const held = fields.released_at ? toLocalInput(new Date(fields.released_at).getTime()) : '';
    this.#embargo = h('input', { type: 'datetime-local', id: freshId('embargo'), value: held, oninput });
    this.#correction = h('textarea', { id: freshId('correction'), rows: 2, value: fields.correction?.note ?? '', oninput, 'data-field': 'correction' });
    this.node = h('div', { class: 'form' },
      labelled('Headline', this.#headline),
      labelled(`Text (${FORMATS[format]})`, this.#body),
      purpose === 'revision' && labelled('Correction note', this.#correction, 'Readers see it with the entry. Leave it empty for a plain revision.'),
      h('div', { class: 'marks' },
        h('label', { class: 'check' }, this.#key, 'Key event'),
        h('label', { class: 'check' }, this.#pinned, 'Pin to the top'),
        h('label', { class: 'pick' }, h('span', {}, 'Verification'), this.#verification)),
      h('div', { class: 'folds' },
        this.#fold('Byline', h('div', {}, names, this.#authors.node)),
        this.#fold('Sources and links', h('div', {}, this.#sources.node, this.#links.node)),
        this.#fold('Tags', labelled('Tags', this.#tags, 'Separated by commas.')),
        purpose !== 'revision' && this.#fold('Embargo', this.#embargoFields())),
    );
    this.#summarise();
    this.#grow();
  }

  /** The fields as they stand. */
  read(): EntryFields {
    const { format } = written(this.#fields.body);
    const body: Body = { [format]: this.#body.value };
    const embargo = this.embargo;
    const fields: EntryFields = {
      ...this.#fields,
      headline: this.#headline.value,
      body,
      authors: this.#authors.read().map(author),
      sources: this.#sources.read() as unknown as Source[],
      related_links: this.#links.read() as unknown as RelatedLink[],
      tags: this.#readTags(),
      key_event: this.#key.checked,
      pinned: this.#pinned.checked,
      correction: { note: this.#correction.value },
    };
    if (this.#verification.value) fields.verification = this.#verification.value as Verification;
    else delete fields.verification;
    if (this.#embargo.value === '') delete fields.released_at;
    // An embargo that the editor didn't touch keeps its seconds.
    else if (embargo !== undefined && !this.#isOldEmbargo()) fields.released_at = new Date(embargo).toISOString();
    return fields;
  }

  /** When the embargo ends that is set here, in ms; none where nothing is. */
  get embargo(): number | undefined {
    return fromLocalInput(this.#embargo.value);
  }

  /** Sets what was changed outside of the form. */
  mark(marks: { pinned?: boolean; key_event?: boolean }): void {
    if (marks.pinned !== undefined) this.#pinned.checked = marks.pinned;
    if (marks.key_event !== undefined) this.#key.checked = marks.key_event;
  }

  /** Opens the fold that this field of the protocol is in. */
  unfold(field: string): void {
    const name = FOLDS.find(([prefix]) => field.startsWith(prefix))?.[1];
    const fold = name && this.#summaries.get(name)?.closest('details');
    if (fold) fold.open = true;
  }

  /** Puts the cursor into the headline or the text. */
  focus(field: 'headline' | 'body'): void {
    (field === 'body' ? this.#body : this.#headline).focus();
  }

  /** Tags that the editor didn't touch stay as they are, also where one has a comma in it. */
  #readTags(): string[] {
    const { tags = [] } = this.#fields;
    if (this.#tags.value === tags.join(', ')) return tags;
    return this.#tags.value.split(',').map((tag) => tag.trim()).filter(Boolean);
  }

  #isOldEmbargo(): boolean {
    const { released_at: old } = this.#fields;
    return old !== undefined && this.#embargo.value === toLocalInput(new Date(old).getTime());
  }

  #onInput(): void {
    this.#summarise();
    this.#grow();
    this.changed();
  }

  /** The text has the room that it needs, without a scroll bar of its own; the style sheet bounds it. */
  #grow(): void {
    this.#body.style.height = 'auto';
    if (this.#body.scrollHeight) this.#body.style.height = `${this.#body.scrollHeight + 2}px`;
  }

  #fold(name: string, content: HTMLElement): HTMLElement {
    const value = h('span', { class: 'value' });
    this.#summaries.set(name, value);
    return h('details', { class: 'fold' }, h('summary', {}, h('span', { class: 'name' }, name), ' ', value), content);
  }

  /** What is in a fold stands on it, so that it need not be opened to be seen. */
  #summarise(): void {
    const count = this.#sources.read().length + this.#links.read().length;
    const embargo = this.embargo;
    const values: Record<string, string> = {
      Byline: this.#authors.read().map(({ name }) => name).join(', ') || 'nobody',
      'Sources and links': count ? String(count) : 'none',
      Tags: this.#tags.value.trim() || 'none',
      Embargo: embargo === undefined ? 'none: publishes at once' : ahead(embargo),
    };
    for (const [name, node] of this.#summaries) node.textContent = values[name] ?? '';
    const isPast = embargo !== undefined && embargo <= Date.now();
    this.#embargoNote.classList.toggle('is-wrong', isPast);
    fill(this.#embargoNote, embargo === undefined
      ? `Times are those of ${zoneAt(Date.now())}.`
      : isPast
        ? 'That time has passed. Choose a later one, or take it away.'
        : `Held until then: ${ahead(embargo)}, at ${inUtc(embargo)}. Zone: ${zoneAt(embargo)}.`);
  }

  #embargoFields(): HTMLElement {
    const clear = button('No embargo', () => {
      this.#embargo.value = '';
      this.#onInput();
    }, { class: 'small' });
    return h('div', { class: 'embargo' }, labelled('Hold until', this.#embargo), clear, this.#embargoNote);
  }
}

/** A field with its label above, and a hint below. */
export function labelled(label: string, input: HTMLElement, hint?: string): HTMLElement {
  const id = hint ? freshId('hint') : undefined;
  if (id) input.setAttribute('aria-describedby', id);
  input.id ||= freshId('field');
  return h('div', { class: 'field' }, h('label', { for: input.id }, label), input, hint && h('p', { class: 'hint', id }, hint));
}

export function choice(value: string, options: [string, string][], onchange: () => void): HTMLSelectElement {
  const words = options.map(([each, text]) => h('option', { value: each, selected: each === value }, text));
  return h('select', { onchange }, ...words);
}

function authorRows(authors: readonly Author[], list: string, changed: () => void): Rows {
  const rows = authors.map(({ name, type, url }) => ({
    name,
    type: type === 'organization' ? type : '',
    url: url ?? '',
  }));
  return new Rows('author', [
    { name: 'name', label: 'Name', list },
    { name: 'type', label: 'Person or organisation', options: [['', 'Person'], ['organization', 'Organisation']] },
    { name: 'url', label: 'Link (https://…)', type: 'url' },
  ], rows.length ? rows : [{}], changed, 'Who signs, in this order');
}

function author({ name, type, url }: Row): Author {
  return { name: name ?? '', type: type === 'organization' ? type : 'person', ...(url ? { url } : {}) };
}

/** Names that were used before, and the editor's own. */
function suggestions(): string[] {
  return [...new Set([storedName(), ...bylines().known.map(({ name }) => name)])].filter(Boolean);
}
