/**
 * What readers will see, while it is being written: the body comes from the broker's own sanitiser (POST /v1/preview), so
 * that there is no second opinion on what a publish makes of it.
 */
import { Problem } from './api.js';
import { article } from './article.js';
import type { Context } from './context.js';
import { fill, h } from './dom.js';
import { written, type EntryFields } from './fields.js';

/** How long nothing is typed before the broker is asked, in ms. */
const PAUSE = 200;

export class Preview {
  readonly #content = h('div', { class: 'article' });
  readonly #note = h('p', { class: 'hint' });
  readonly node = h('section', { class: 'preview', 'aria-label': 'Preview' },
    h('h3', {}, 'As readers will see it'), this.#note, this.#content);
  #fields: EntryFields = {};
  #asked = '';
  #html = '';
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: AbortController | undefined;

  constructor(private readonly context: Context) {}

  show(fields: EntryFields): void {
    this.#fields = fields;
    const body = JSON.stringify(fields.body ?? {});
    if (written(fields.body).text.trim() === '') {
      this.close();
      [this.#asked, this.#html] = [body, ''];
      fill(this.#note);
    } else if (body !== this.#asked) {
      this.close();
      this.#timer = setTimeout(() => void this.#ask(body), PAUSE);
    }
    this.#draw();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#asking?.abort();
  }

  async #ask(body: string): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    try {
      const call = { method: 'POST', path: '/v1/preview', body: `{"body":${body}}`, signal: asking.signal };
      const { json } = await this.context.api.call(call);
      [this.#asked, this.#html] = [body, json.body_html];
      fill(this.#note);
    } catch (error) {
      if (asking.signal.aborted) return;
      const isRefused = error instanceof Problem && error.status < 500;
      fill(this.#note, isRefused ? `The broker won’t take this text: ${error.message}.` : 'No preview just now: the broker can’t be reached.');
      // Asked again by itself: the text may stay as it is.
      if (!isRefused) this.#timer = setTimeout(() => void this.#ask(body), 3000);
    }
    this.#draw();
  }

  #draw(): void {
    const parts = article({ ...this.#fields, body_html: this.#html }, 'h4');
    fill(this.#content, ...(parts.length ? parts : [h('p', { class: 'hint' }, 'Nothing yet.')]));
  }
}
