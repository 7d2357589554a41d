/**
 * What the page says of the topic itself: title, summary, key points, whether it has ended and where it goes on. Parts that
 * a template leaves out are left alone.
 */
import type { Topic } from 'tenbells';
import { timeOf, topicLink, type Place } from './article.js';
import { el, filled, part } from './dom.js';
import { localiseAll } from './times.js';
import { bodyOf } from './trusted.js';
import { words } from './words.js';

/** Shows the state of the topic. */
export function showTopic(root: HTMLElement, place: Place, topic: Topic): void {
  const title = part(root, 'title');
  if (title) title.textContent = titleOf(topic);
  part(root, 'summary')?.replaceChildren(bodyOf(topic.summary_html ?? ''));
  showPoints(part(root, 'points'), topic.key_points ?? []);
  const over = part(root, 'handover');
  over?.replaceChildren(...(topic.status === 'ended' ? [handover(place, topic)] : []));
  const earlier = part(root, 'predecessor');
  if (earlier) {
    earlier.hidden = !topic.predecessor;
    earlier.replaceChildren(
      ...(topic.predecessor ? [`${words.predecessor} `, topicLink(place.base, topic.predecessor, 'prev') ?? ''] : []),
    );
  }
}

export const titleOf = (topic: Topic): string => filled(topic.title) ?? topic.topic;

/** "This live blog has ended (20:31). It continues: …" */
export function handover(place: Place, topic: Topic): HTMLElement {
  const said = el('p', {}, words.ended);
  if (topic.ended_at) said.append(' (', timeOf(topic.ended_at), ')');
  said.append('.');
  if (topic.successor) said.append(` ${words.continues} `, topicLink(place.base, topic.successor, 'next') ?? '');
  localiseAll(said);
  return said;
}

function showPoints(points: HTMLElement | null, list: readonly string[]): void {
  if (!points) return;
  points.hidden = list.length === 0;
  points.querySelector('ul, ol')?.replaceChildren(...list.map((point) => el('li', {}, point)));
}
