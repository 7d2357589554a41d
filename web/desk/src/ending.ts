/** The end of a blog, with where its readers go on; and its reopening. */
import { topicPath } from './api.js';
import type { Context } from './context.js';
import { LinkFields } from './details.js';
import { dialogForm, openDialog } from './dialog.js';
import { freshId, h } from './dom.js';

export function openEnding(context: Context, topic: string): void {
  const list = h('datalist', { id: freshId('topics') });
  void context.api.get('/v1/topics').then(({ topics }) => {
    for (const { topic: name, title } of topics) if (name !== topic) list.append(h('option', { value: name }, title ?? name));
  }, () => {});
  const successor = new LinkFields({}, 'Where readers go on (optional)', list.id);
  const dialog = openDialog('End this blog?', [
    h('p', {}, 'Open pages are told at once, with the link. Revisions and retractions stay possible, and it can be reopened.'),
    list,
  ]);
  dialog.node.append(dialogForm('End the blog', () => {
    const link = successor.read();
    void context.outbox.add({
      topic, what: 'end', label: '', method: 'POST', path: topicPath(topic, '/end'), body: link && JSON.stringify({ successor: link }),
    });
    dialog.close();
  }, dialog.close, true, successor.node));
}

export function reopen(context: Context, topic: string): void {
  void context.outbox.add({ topic, what: 'reopen', label: '', method: 'POST', path: topicPath(topic, '/reopen') });
}
