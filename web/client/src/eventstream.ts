/**
 * The broker's event streams (docs/protocol.md, section 12), with the comment that names the head. Pure: takes text as it
 * arrives, in any pieces. The browser's own EventSource hides status, header fields and comments.
 */

/** The fields of one block; '' is the comment. */
export type Block = Partial<Record<'event' | 'data' | 'id' | 'retry' | '', string>>;

/** Takes pieces of text, and calls `emit` for each block that is whole. */
export function eventStream(emit: (block: Block) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop()!;
    for (const block of blocks) {
      emit(Object.fromEntries(block.split('\n').map((line) => line.split(/: ?(.*)/, 2))) as Block);
    }
  };
}
