/**
 * What tabs that are gone have left behind of a topic: their drafts, and the writes whose answer they never saw. A new
 * entry is looked for first, by the id that the desk gave it: where it is there, it was published, and nothing is left
 * to do. The rest waits for the editor.
 */
import { entryPath, Problem } from './api.js';
import type { Context } from './context.js';
import type { Draft, Write } from './keep.js';

/** Takes over now what has no tab, and later what loses its tab, until `signal`. */
export async function adoptLeftBehind(context: Context, topic: string, signal: AbortSignal, adopt: (draft: Draft) => void): Promise<void> {
  const { keep, tab } = context;
  const ofTopic = async (): Promise<{ drafts: Draft[]; writes: Write[] }> => ({
    drafts: (await keep.drafts()).filter((draft) => draft.topic === topic),
    writes: (await keep.writes()).filter((write) => write.topic === topic),
  });
  const take = async (owner: string): Promise<void> => {
    const { drafts, writes } = await ofTopic();
    if (signal.aborted) return;
    for (const write of writes) if (write.owner === owner) await adoptWrite(context, write);
    for (const draft of byAge(drafts)) if (draft.owner === owner) adopt(draft);
  };
  try {
    const { drafts, writes } = await ofTopic();
    const owners = new Set([...drafts, ...writes].map(({ owner }) => owner));
    // This tab's own drafts are those of a topic that it comes back to; its writes are in the outbox all along.
    for (const draft of byAge(drafts)) if (draft.owner === tab.id && !signal.aborted) adopt(draft);
    await Promise.all([...owners].map((owner) => tab.whenGone(owner, signal, () => take(owner))));
  } catch (error) {
    if (!signal.aborted) context.complain(`Drafts on this device can’t be read: ${error instanceof Error ? error.message : error}`);
  }
}

async function adoptWrite(context: Context, write: Write): Promise<void> {
  if (write.what === 'publish' && write.entry !== undefined) {
    const isThere = await context.api.get(entryPath(write.topic, write.entry)).then(
      () => true,
      // A tombstone is an answer, too: it was published, and taken back.
      (error: unknown) => error instanceof Problem && error.status === 410,
    );
    if (isThere) {
      await context.keep.dropWrite(write.id);
      const words = write.label ? `: “${write.label}”` : '';
      return context.complain(`The page was closed while it was sent, but it was published${words}.`);
    }
  }
  context.outbox.adopt(write);
}

/** The newest first: that one comes into hand. */
function byAge(drafts: readonly Draft[]): Draft[] {
  return [...drafts].sort((left, right) => right.updatedAt - left.updatedAt);
}
