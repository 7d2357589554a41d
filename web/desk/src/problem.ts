/** How a call can end that did not do what was asked: with an answer that says why, or without one. Knows no page. */
/** An answer that was not 2xx. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** A code of docs/protocol.md, section 14; `http` where the answer was not the broker's. */
    readonly code: string,
    message: string,
    readonly field?: string | undefined,
    /** How long to wait before trying again, in ms. */
    readonly retryAfter?: number | undefined,
  ) {
    super(message);
  }
}

/** There was no answer: the call may have arrived or not. */
export class Unreachable extends Error {}
