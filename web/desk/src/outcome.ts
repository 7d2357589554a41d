/**
 * What an error says about a write: whether it may have been stored, whether to send it again without asking, and how it
 * is put to an editor. Pure; the rules are those of docs/protocol.md, section 8.
 */
import { Problem } from './problem.js';

export type Verdict =
  /** Not stored this time; sent again by itself. */
  | 'again'
  /** Perhaps stored; sent again by itself under the same idempotency key, which can't store it twice. */
  | 'unknown'
  /** Somebody else revised it first. */
  | 'conflict'
  /** It will not be taken as it is: kept, for the editor. */
  | 'refused';

/** Problems that the broker only finds once it has looked the idempotency key up: proof that nothing was stored before. */
const PROOF = new Set(['topic_ended', 'revision_stale', 'entry_retracted', 'already_released', 'invalid_field', 'topic_not_found']);

export function judge(error: unknown): Verdict {
  if (!(error instanceof Problem)) return 'unknown';
  if (['unavailable', 'timeout', 'rate_limited'].includes(error.code)) return 'again';
  if (error.code === 'revision_stale') return 'conflict';
  if (error.code === 'storage_full') return 'refused';
  return error.status >= 500 ? 'unknown' : 'refused';
}

/** Whether this answer shows that no earlier attempt was stored either. */
export function provesNothingStored(error: unknown): boolean {
  return error instanceof Problem && PROOF.has(error.code);
}

/** How long to wait before the next attempt, in ms: full jitter over a growing ceiling, never sooner than was advised. */
export function retryDelay(attempts: number, advised = 0, chance: number = Math.random()): number {
  const ceiling = Math.min(15_000, 500 * 2 ** Math.min(attempts, 10));
  return Math.max(advised, 250 + ceiling * chance);
}

/** Why, in words for an editor. */
export function inPlainWords(error: unknown): string {
  if (!(error instanceof Problem)) return 'The broker can’t be reached.';
  switch (error.code) {
    case 'unauthorized':
      return 'The key isn’t good any more. Sign in again.';
    case 'forbidden':
      return 'This key may not do that here.';
    case 'topic_ended':
      return 'The blog has ended. Reopen it to publish.';
    case 'topic_not_found':
      return 'There is no such topic, or this key may not see it.';
    case 'entry_retracted':
      return 'The entry was retracted meanwhile.';
    case 'entry_not_found':
      return 'The entry isn’t there any more.';
    case 'entry_exists':
      return 'Another version of this was published by an earlier attempt.';
    case 'revision_stale':
      return 'Somebody else revised it first.';
    case 'storage_full':
      return 'The broker’s disk is full. Nothing was stored.';
    case 'unavailable':
      return 'The broker is busy, or starting.';
    case 'rate_limited':
      return 'The broker takes no more from this key just now.';
    case 'too_large':
      return 'It is too long for the broker.';
    case 'outcome_unknown':
      return 'The broker can’t say whether it was stored.';
    default:
      return `Not taken: ${error.message}.`;
  }
}
