/** Positions are read as the protocol writes them, and as nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePosition } from '../../client/src/position.js';

test('a position has an epoch and an offset', () => {
  assert.deepEqual(parsePosition('k3v9q2-42'), { epoch: 'k3v9q2', offset: 42 });
  assert.deepEqual(parsePosition('a-0'), { epoch: 'a', offset: 0 });
  assert.deepEqual(parsePosition('a-1099511627775'), { epoch: 'a', offset: 2 ** 40 - 1 });
});

test('what is no position is none', () => {
  for (const text of ['', 'start', '42', 'k3v9q2-', '-42', 'k3v9q2-042', 'K3-1', 'k3 -1', 'k3-1 ', 'a-b-1', 'a--1',
    'abcdefghijklmnopq-1', null, undefined, 7]) {
    assert.equal(parsePosition(text), undefined, String(text));
  }
});
