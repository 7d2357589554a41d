/**
 * Event streams as in the WHATWG HTML standard, section 9.2.6, with their comments: the broker names the head in one.
 * Pure: takes text as it arrives, in any pieces. The standard's own reader hides status, headers and comments.
 */

/** One block of a stream. */
export interface Block {
  event: string;
  data: string;
  /** Last id so far. */
  id: string;
  retry?: string;
  comment?: string;
}

/** Takes pieces of text, and calls `emit` for each block that ended. */
export function eventStream(emit: (block: Block) => void): (text: string) => void {
  let rest = '';
  let id = '';
  let block: Partial<Block> & { data?: string } = {};
  const take = (line: string): void => {
    if (!line) {
      emit({ event: 'message', data: '', ...block, id });
      block = {};
      return;
    }
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (!name) block.comment = value;
    else if (name === 'id') id = value;
    else if (name === 'data') block.data = block.data === undefined ? value : `${block.data}\n${value}`;
    else if (name === 'event' || name === 'retry') block[name] = value;
  };
  return (text) => {
    // A CR at the end may be half of a CRLF.
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    lines.forEach(take);
  };
}
