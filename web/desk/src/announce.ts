/** What the desk says in passing: to screen readers, and in a bar at the bottom that goes away by itself. */
import { button, fill, h } from './dom.js';

/** How long the bar stays, in ms. Whatever it offers can also be done where it was done. */
const STAYS = 12_000;

export class Announcer {
  readonly #status = h('p', { class: 'quiet', role: 'status' });
  readonly #bar = h('div', { class: 'bar', hidden: true });
  readonly node = h('div', {}, this.#status, this.#bar);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #said = '';

  say(text: string): void {
    // The same words again are heard only where the text is another.
    this.#said = text === this.#said ? `${text}\u00a0` : text;
    this.#status.textContent = this.#said;
  }

  offerUndo(text: string, undo: () => void): void {
    const undoing = button('Undo', () => {
      this.#close();
      undo();
    });
    this.#show(text, undoing);
  }

  complain(text: string): void {
    this.#show(text);
    this.#bar.classList.add('is-wrong');
  }

  #show(text: string, ...more: HTMLElement[]): void {
    this.say(text);
    clearTimeout(this.#timer);
    this.#bar.classList.remove('is-wrong');
    this.#bar.hidden = false;
    fill(this.#bar, h('span', {}, text), ...more, button('Close', () => this.#close(), { class: 'plain' }));
    this.#timer = setTimeout(() => this.#close(), STAYS);
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#bar.hidden = true;
  }
}
