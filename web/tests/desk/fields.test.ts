/** Patches, and what two editors changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inWords, merged, patchOf, saysSomething, tidy, written } from '../../desk/src/fields.js';

test('a patch has what differs, and nothing else', () => {
  assert.deepEqual(patchOf({ headline: 'A', tags: ['x'] }, { headline: 'A', tags: ['x'] }), {});
  assert.deepEqual(patchOf({ headline: 'A', tags: ['x'], pinned: true }, { headline: 'B', tags: ['x', 'y'] }),
    { headline: 'B', tags: ['x', 'y'], pinned: null });
  assert.deepEqual(patchOf({ body: { markdown: 'a' } }, { body: { markdown: 'b' } }), { body: { markdown: 'b' } });
  assert.deepEqual(patchOf({ body: { text: 'a' } }, { body: { markdown: 'b' } }), { body: { text: null, markdown: 'b' } });
  assert.deepEqual(patchOf({ body: { text: 'a' } }, {}), { body: null });
  assert.deepEqual(patchOf({ authors: [{ name: 'A', type: 'person' }] }, { authors: [{ type: 'person', name: 'A' }] }), {});
});

test('changes of two editors come together where they are of different fields', () => {
  const base = { headline: 'A', tags: ['x'], pinned: true };
  assert.deepEqual(merged(base, { ...base, headline: 'B' }, { ...base, tags: [] }),
    { fields: { headline: 'B', tags: [], pinned: true }, clashes: [] });
  // One takes a field away, the other adds one.
  assert.deepEqual(merged(base, { headline: 'A', tags: ['x'] }, { ...base, verification: 'confirmed' }),
    { fields: { headline: 'A', tags: ['x'], verification: 'confirmed' }, clashes: [] });
  assert.deepEqual(merged(base, { ...base, headline: 'B' }, { ...base, headline: 'B' }),
    { fields: { ...base, headline: 'B' }, clashes: [] });
});

test('what both changed is theirs until somebody chooses', () => {
  const base = { headline: 'A', correction: { note: 'n' } };
  assert.deepEqual(merged(base, { headline: 'B' }, { headline: 'C', correction: { note: 'm' } }), {
    fields: { headline: 'B' },
    clashes: [
      { name: 'headline', theirs: 'B', mine: 'C' },
      { name: 'correction', theirs: undefined, mine: { note: 'm' } },
    ],
  });
});

test('what says nothing is left out', () => {
  assert.deepEqual(tidy({ headline: '', body: { markdown: ' ' }, tags: [], pinned: false, correction: { note: '' }, key_event: true }), { key_event: true });
  assert.equal(saysSomething({ headline: ' ', body: { text: '\n' } }), false);
  assert.equal(saysSomething({ body: { html: 'x' } }), true);
  assert.deepEqual(written({ html: '<p>' }), { format: 'html', text: '<p>' });
  assert.deepEqual(written(undefined), { format: 'markdown', text: '' });
  assert.equal(inWords({ body: { markdown: `one\n\n${'x'.repeat(99)}` } }, 10), 'one xxxxx…');
});
