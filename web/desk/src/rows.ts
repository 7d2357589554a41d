/** A list that an editor fills in row by row: names, sources, links, key points. Rows that stay empty don't count. */
import { button, freshId, h } from './dom.js';

export interface Column {
  name: string;
  label: string;
  type?: 'text' | 'url';
  /** A choice: value and words. The first one is the default, and counts as empty. */
  options?: [string, string][];
  /** Id of a datalist with suggestions. */
  list?: string;
}

export type Row = Record<string, string>;

export class Rows {
  readonly node: HTMLFieldSetElement;
  readonly #list = h('div', { class: 'rows' });

  constructor(
    /** `author`: what one of them is called. */
    private readonly one: string,
    private readonly columns: Column[],
    rows: Row[],
    private readonly changed: () => void,
    legend: string,
  ) {
    const add = button(`Add ${one}`, () => {
      this.#add({}).querySelector('input')?.focus();
    }, { class: 'small' });
    this.node = h('fieldset', { class: 'rowset' }, h('legend', {}, legend), this.#list, add);
    for (const row of rows) this.#add(row);
  }

  /** Rows that have something in them, without what is empty. */
  read(): Row[] {
    return [...this.#list.children].flatMap((row) => {
      const filled: Row = {};
      let hasText = false;
      row.querySelectorAll<HTMLInputElement | HTMLSelectElement>('[data-column]').forEach((input) => {
        const value = input.value.trim();
        if (value === '') return;
        filled[input.dataset['column']!] = value;
        hasText ||= input instanceof HTMLInputElement;
      });
      return hasText ? [filled] : [];
    });
  }

  #add(row: Row): HTMLElement {
    const node = h('div', { class: 'row' });
    for (const column of this.columns) node.append(this.#cell(column, row[column.name] ?? ''));
    const remove = button('×', () => {
      const next = (node.nextElementSibling ?? node.previousElementSibling)?.querySelector('input');
      node.remove();
      (next ?? this.node.querySelector<HTMLElement>(':scope > button'))?.focus();
      this.changed();
    }, { class: 'small', 'aria-label': `Remove this ${this.one}`, title: `Remove this ${this.one}` });
    node.append(remove);
    this.#list.append(node);
    return node;
  }

  #cell(column: Column, value: string): HTMLElement {
    const id = freshId('cell');
    const common = { id, 'data-column': column.name, onchange: this.changed };
    const input = column.options
      ? h('select', common, ...column.options.map(([each, words]) => h('option', { value: each, selected: each === value }, words)))
      : h('input', {
          ...common,
          type: column.type ?? 'text',
          value,
          placeholder: column.label,
          list: column.list,
          autocomplete: 'off',
          oninput: this.changed,
        });
    return h('div', { class: `cell is-${column.name}` }, h('label', { class: 'quiet', for: id }, column.label), input);
  }
}
