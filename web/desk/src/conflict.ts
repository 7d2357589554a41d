/** Two editors changed the same thing: what they made of it beside what I made of it, to choose from, field by field. */
import { openDialog } from './dialog.js';
import { button, fill, freshId, h } from './dom.js';
import { merged, same, written, type Body, type Clash, type Json } from './fields.js';

const LABELS: Record<string, string> = {
  headline: 'Headline', body: 'Text', authors: 'Byline', sources: 'Sources', related_links: 'Related links', tags: 'Tags',
  key_event: 'Key event', pinned: 'Pinned', verification: 'Verification', correction: 'Correction note', released_at: 'Embargo',
  published_at: 'Shown time', title: 'Title', summary: 'Summary', language: 'Language', key_points: 'Key points',
  visibility: 'Visibility', predecessor: 'Predecessor',
};

export interface Versions {
  /** As it was when I began, as it is now, and as I want it: tidied, so that equal is equal. */
  base: Json;
  theirs: Json;
  mine: Json;
  /** The revision that theirs is. */
  revision: number;
}

export interface Choices {
  /** Sends the chosen fields as a revision of theirs. */
  save(fields: Json): void;
  /** Goes on with the chosen fields in the form. */
  goOn(fields: Json): void;
  /** Gives mine up. */
  drop(): void;
}

/** Opens the choice. Nothing is decided by closing it. */
export function openConflict({ base, theirs, mine, revision }: Versions, choices: Choices): void {
  const { fields, clashes } = merged(base, theirs, mine);
  const chosen = new Map<string, 'theirs' | 'mine'>();
  const error = h('p', { class: 'error', role: 'alert' });
  const result = (): Json | undefined => {
    const open = clashes.filter(({ name }) => !chosen.has(name));
    if (open.length) {
      fill(error, `Choose one for: ${open.map(({ name }) => label(name)).join(', ')}.`);
      return undefined;
    }
    const whole: Json = { ...fields };
    for (const { name, mine } of clashes) {
      if (chosen.get(name) !== 'mine') continue;
      if (mine === undefined) delete whole[name];
      else whole[name] = mine;
    }
    return whole;
  };
  const finish = (then: (fields: Json) => void) => (): void => {
    const whole = result();
    if (!whole) return;
    dialog.close();
    then(whole);
  };
  const rows = clashes.map((clash) => clashRow(clash, (side) => {
    chosen.set(clash.name, side);
    fill(error);
  }));
  const all = (side: 'theirs' | 'mine') => (): void => {
    for (const row of rows) row.querySelector<HTMLInputElement>(`input[value="${side}"]`)?.click();
  };
  const dialog = openDialog('Somebody else revised this first', [
    h('p', {}, `Theirs is revision ${revision}. ${clashes.length ? 'Both of you changed what stands below: choose for each.' : 'You changed different things, so both fit together.'}`),
    ...others(base, theirs, mine, clashes),
    clashes.length > 1 && h('div', { class: 'actions' }, button('All theirs', all('theirs'), { class: 'small' }), button('All mine', all('mine'), { class: 'small' })),
    h('div', { class: 'clashes' }, ...rows),
    error,
    h('div', { class: 'send' },
      button('Save', finish(choices.save), { class: 'primary', 'data-do': 'save' }),
      button('Go on editing', finish(choices.goOn)),
      button('Drop mine', () => {
        dialog.close();
        choices.drop();
      }, { class: 'danger' })),
  ], 'is-wide');
}

/** What only one of the two changed. */
function others(base: Json, theirs: Json, mine: Json, clashes: readonly Clash[]): HTMLElement[] {
  const clashing = new Set(clashes.map(({ name }) => name));
  const changed = (side: Json): string[] =>
    Object.keys({ ...base, ...side })
      .filter((name) => !clashing.has(name) && !same(base[name], side[name]))
      .map(label);
  return ([['They changed', changed(theirs)], ['You changed', changed(mine)]] as const)
    .filter(([, names]) => names.length > 0)
    .map(([who, names]) => h('p', { class: 'hint' }, `${who}, and it is kept: ${names.join(', ')}.`));
}

function clashRow({ name, theirs, mine }: Clash, choose: (side: 'theirs' | 'mine') => void): HTMLElement {
  const group = freshId('clash');
  const side = (which: 'theirs' | 'mine', value: unknown): HTMLElement => {
    const id = freshId('side');
    return h('label', { class: 'side', for: id },
      h('span', { class: 'pick' }, h('input', { type: 'radio', id, name: group, value: which, onchange: () => choose(which) }),
        which === 'theirs' ? 'Theirs' : 'Mine'),
      h('span', { class: 'value', dir: 'auto' }, inWords(value)));
  };
  return h('fieldset', { class: 'clash', 'data-field': name }, h('legend', {}, label(name)), side('theirs', theirs), side('mine', mine));
}

function label(name: string): string {
  return LABELS[name] ?? name;
}

/** A value of any field, to be compared by eye. */
function inWords(value: unknown): string {
  if (value === undefined || value === null) return '(nothing)';
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (Array.isArray(value)) return value.map(inWords).join('\n') || '(nothing)';
  if (typeof value !== 'object') return String(value);
  if ('note' in value) return String(value.note);
  if (['markdown', 'html', 'text'].some((format) => format in value)) return written(value as Body).text;
  const { name, title, url, role, topic, type } = value as Record<string, string | undefined>;
  return [name ?? title ?? topic, type === 'organization' && 'organisation', role && `(${role})`, url].filter(Boolean).join(' ');
}
