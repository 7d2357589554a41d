/** The list of entries, whichever of snapshot, change and answer comes first; and what an error says about a write. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry, Topic } from '../../client/src/tenbells.js';
import { Problem } from '../../desk/src/problem.js';
import { Blog } from '../../desk/src/blog.js';
import { judge, provesNothingStored, retryDelay } from '../../desk/src/outcome.js';

const topic = { topic: 't', revision: 1, status: 'live', visibility: 'public', created_at: '', updated_at: '' } as Topic;
const entry = (id: string, revision = 1): Entry => ({ id, revision, headline: `${id}${revision}` }) as Entry;
const published = (offset: number, id: string) => ({ topic: 't', offset, at: '', kind: 'entry.published', entry: entry(id) });
const ids = (blog: Blog) => blog.items.map(({ id }) => id).join('');

function begun(): Blog {
  const blog = new Blog(topic);
  blog.begin({ position: 'e-2', entries: [entry('b'), entry('a')], next: '1' });
  return blog;
}

test('answers and changes come in any order, and the list is that of the offsets', () => {
  const blog = begun();
  assert.equal(blog.take(entry('d'), 4), true);
  assert.equal(blog.apply(published(3, 'c')), 'c');
  assert.equal(blog.apply(published(4, 'd')), undefined);
  assert.equal(ids(blog), 'dcba');
  blog.addOlder({ position: 'e-4', entries: [entry('0')], next: null });
  assert.equal(ids(blog), 'dcba0');
  assert.equal(blog.next, null);
});

test('the higher revision stands, and a retraction is final', () => {
  const blog = begun();
  const revised = { topic: 't', offset: 3, at: '', kind: 'entry.revised', entry: entry('a', 3) };
  assert.equal(blog.apply(revised), 'a');
  assert.equal(blog.take(entry('a', 2), undefined), false);
  assert.equal((blog.find('a') as Entry).revision, 3);
  assert.equal(blog.apply({ topic: 't', offset: 4, at: 'now', kind: 'entry.retracted', id: 'a', reason: 'r' }), 'a');
  assert.equal(blog.apply({ ...revised, entry: entry('a', 9) }), undefined);
  assert.deepEqual(blog.find('a'), { id: 'a', retracted: true, retracted_at: 'now', reason: 'r' });
  // Of an older page, which isn't here.
  assert.equal(blog.apply({ ...revised, entry: entry('old', 2) }), undefined);
  assert.equal(ids(blog), 'ba');
});

test('an error says whether a write may be stored', () => {
  const problem = (status: number, code: string) => new Problem(status, code, '');
  assert.equal(judge(new TypeError('no answer')), 'unknown');
  assert.equal(judge(problem(500, 'outcome_unknown')), 'unknown');
  assert.equal(judge(problem(502, 'http')), 'unknown');
  assert.equal(judge(problem(503, 'unavailable')), 'again');
  assert.equal(judge(problem(429, 'rate_limited')), 'again');
  assert.equal(judge(problem(412, 'revision_stale')), 'conflict');
  for (const [status, code] of [[401, 'unauthorized'], [422, 'invalid_field'], [507, 'storage_full'], [409, 'topic_ended'], [404, 'http']] as const) {
    assert.equal(judge(problem(status, code)), 'refused', code);
  }
  assert.equal(provesNothingStored(problem(409, 'topic_ended')), true);
  assert.equal(provesNothingStored(problem(401, 'unauthorized')), false);
  assert.equal(provesNothingStored(new TypeError()), false);
});

test('the next attempt is later each time, within a bound, and never before the broker wants it', () => {
  assert.equal(retryDelay(0, 0, 0), 250);
  assert.ok(retryDelay(3, 0, 1) > retryDelay(1, 0, 1));
  assert.equal(retryDelay(99, 0, 1), 15_250);
  assert.equal(retryDelay(1, 5000, 0.5), 5000);
});
