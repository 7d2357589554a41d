/** The topic's own fields in a dialog: title, summary, key points, language, who may see it, where it comes from. */
import { topicPath } from './api.js';
import type { Context } from './context.js';
import { dialogForm, openDialog } from './dialog.js';
import { fill, h } from './dom.js';
import { patchOf, written, type Json, type TopicFields, type TopicLinkFields } from './fields.js';
import { choice, labelled } from './form.js';
import { inPlainWords } from './outcome.js';
import { Rows } from './rows.js';

/** What is edited: the fields as they are, as they shall be, and the revision that they are of. */
export interface Details {
  base: Json;
  mine: Json;
  revision: number;
}

/** The topic's fields from the broker, without what says nothing. */
export async function fetchDetails(context: Context, topic: string): Promise<{ fields: Json; revision: number }> {
  const source = await context.api.get(topicPath(topic, '/source'));
  return { fields: tidyTopic(source.topic), revision: source.revision };
}

/** Opens them; `details` are those of a write that was refused, to go on with. */
export async function openDetails(context: Context, topic: string, details?: Details): Promise<void> {
  let at = details;
  try {
    if (!at) {
      const { fields, revision } = await fetchDetails(context, topic);
      at = { base: fields, mine: fields, revision };
    }
  } catch (error) {
    return context.complain(inPlainWords(error));
  }
  const form = new TopicForm(at.mine as TopicFields);
  const error = h('p', { class: 'error', role: 'alert' });
  const dialog = openDialog('Details of the blog', []);
  dialog.node.append(dialogForm('Save', () => {
    const mine = form.read();
    if (Object.keys(patchOf(at.base, mine)).length === 0) return fill(error, 'Nothing is changed yet.');
    sendDetails(context, topic, { ...at, mine });
    dialog.close();
  }, dialog.close, false, form.node, error));
  form.focus();
}

export function sendDetails(context: Context, topic: string, { base, mine, revision }: Details): void {
  void context.outbox.add({
    topic, what: 'topic', label: '', method: 'PATCH', path: topicPath(topic), body: JSON.stringify(patchOf(base, mine)), ifMatch: revision,
    details: { base, mine },
  });
}

class TopicForm {
  readonly #title: HTMLInputElement;
  readonly #summary: HTMLTextAreaElement;
  readonly #language: HTMLInputElement;
  readonly #visibility: HTMLSelectElement;
  readonly #points: Rows;
  readonly #predecessor: LinkFields;
  readonly node: HTMLElement;

  constructor(private readonly fields: TopicFields) {
    const nothing = (): void => {};
    const { text } = written(fields.summary);
    this.#title = h('input', { value: fields.title ?? '', dir: 'auto', autocomplete: 'off' });
    this.#summary = h('textarea', { rows: 4, value: text, dir: 'auto' });
    this.#language = h('input', { value: fields.language ?? '', placeholder: 'en-GB', autocomplete: 'off' });
    this.#visibility = choice(fields.visibility ?? 'public', [['public', 'Public'], ['private', 'Private: only with a key']], nothing);
    this.#points = new Rows('key point', [{ name: 'text', label: 'Key point' }], (fields.key_points ?? []).map((point) => ({ text: point })), nothing, 'Key points');
    this.#predecessor = new LinkFields(fields.predecessor ?? {}, 'Where it comes from (optional)');
    this.node = h('div', { class: 'form' },
      labelled('Title', this.#title),
      labelled('Summary', this.#summary, 'Markdown. It stands above the entries.'),
      this.#points.node,
      h('div', { class: 'pair' },
        labelled('Language', this.#language, 'Such as en-GB or de.'), labelled('Who may see it', this.#visibility)),
      this.#predecessor.node);
  }

  focus(): void {
    this.#title.focus();
  }

  read(): Json {
    const { summary } = this.fields;
    const { format } = written(summary);
    // A summary that is only a text stays one until it is touched: then it is Markdown.
    const isUntouched = written(summary).text === this.#summary.value;
    const body = isUntouched ? summary : { [typeof summary === 'string' ? 'markdown' : format]: this.#summary.value };
    return tidyTopic({
      ...this.fields,
      title: this.#title.value.trim(),
      summary: this.#summary.value.trim() ? body : undefined,
      language: this.#language.value.trim(),
      visibility: this.#visibility.value,
      key_points: this.#points.read().map(({ text }) => text),
      predecessor: this.#predecessor.read(),
    });
  }
}

/** A link to another live blog: one of this broker, or a page elsewhere. */
export class LinkFields {
  readonly #topic: HTMLInputElement;
  readonly #url: HTMLInputElement;
  readonly #title: HTMLInputElement;
  readonly node: HTMLElement;

  constructor(link: TopicLinkFields, legend: string, list?: string) {
    this.#topic = h('input', { value: link.topic ?? '', placeholder: 'harbour-2', autocomplete: 'off', list });
    this.#url = h('input', { type: 'url', value: link.url ?? '', placeholder: 'https://…', autocomplete: 'off' });
    this.#title = h('input', { value: link.title ?? '', dir: 'auto', autocomplete: 'off' });
    this.node = h('fieldset', { class: 'rowset' }, h('legend', {}, legend),
      labelled('A topic here', this.#topic), labelled('or a page elsewhere', this.#url), labelled('Its title', this.#title));
  }

  read(): TopicLinkFields | undefined {
    const link: TopicLinkFields = {};
    for (const [name, { value }] of [['topic', this.#topic], ['url', this.#url], ['title', this.#title]] as const) {
      if (value.trim()) link[name] = value.trim();
    }
    return Object.keys(link).length ? link : undefined;
  }
}

/** Without what says nothing: so that equal topics are equal. */
function tidyTopic(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([name, value]) =>
    value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0)
    && !(name === 'visibility' && value === 'public')));
}
