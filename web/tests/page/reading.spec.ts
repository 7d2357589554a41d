/** What reaches an open page, and that it moves nothing that is being read. */
import { expect, test } from '../support/browser.js';
import { frames, ids, isLive, many, open, readAt, said, topOf } from '../support/reader.js';

const updates = 'live-blog [part=updates]';

test('new entries appear at the top, and elsewhere wait behind a button and in the title', async ({ broker, page }) => {
  await broker.putTopic('harbour', { title: 'Storm night' });
  await broker.publishAll('harbour', many(30));
  const faults = await open(page, broker, '/t/harbour');
  await broker.publish('harbour', { id: 'seen', headline: 'Seen at once' });
  await expect(page.locator('#e-seen')).toBeVisible();
  await expect(page).toHaveTitle('Storm night');
  await readAt(page, 'n20');
  const before = await topOf(page, 'n20');
  await broker.publishAll('harbour', many(3, 31));
  await expect(page.locator(updates)).toHaveText('3 new updates');
  await expect(page).toHaveTitle('(3) Storm night');
  // Above what is read, everything may change, and it stays where it is.
  await broker.revise('harbour', 'n29', { body: { text: 'Much longer than it was before. '.repeat(60) } });
  await expect(page.locator('#e-n29')).toContainText('Much longer');
  await frames(page);
  expect(Math.abs((await topOf(page, 'n20')) - before)).toBeLessThanOrEqual(1);
  expect((await ids(page)).includes('n31')).toBe(false);
  await page.locator(updates).click();
  await expect(page.locator('#e-n33')).toBeInViewport();
  await expect(page.locator('#e-n33')).toBeFocused();
  await expect(page).toHaveTitle('Storm night');
  expect((await ids(page)).slice(0, 5)).toEqual(['n33', 'n32', 'n31', 'seen', 'n30']);
  expect(faults).toEqual([]);
});

test('revisions, corrections, retractions, pins and key events reach the open page', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(12));
  const faults = await open(page, broker, '/t/harbour');
  await broker.revise('harbour', 'n12', { headline: 'Another headline', correction: { note: 'It was gate 4.' } });
  await expect(page.locator('#e-n12 h3')).toHaveText('Another headline');
  await expect(page.locator('#e-n12 .correction')).toHaveText('Correction It was gate 4.');
  await broker.revise('harbour', 'n5', { pinned: true, key_event: true });
  await expect(page.locator('[data-live=pins] #pin-n5 h3')).toHaveText('Number 5');
  await expect(page.locator('[data-live=feed] #e-n5 .badges')).toHaveText('Pinned Key event');
  // The list leads to it, with an address to pass on.
  await page.locator('[data-live=events] a', { hasText: 'Number 5' }).click();
  await expect(page.locator('#e-n5')).toBeInViewport();
  expect(new URL(page.url()).search + new URL(page.url()).hash).toBe('?entry=n5#e-n5');
  await broker.retract('harbour', 'n5', 'It was wrong.');
  await expect(page.locator('#e-n5')).toHaveText(/This update was retracted\. It was wrong\./);
  await expect(page.locator('#pin-n5')).toHaveCount(0);
  await expect(page.locator('[data-live=events]')).toBeHidden();
  expect(await page.content()).not.toContain('Number 5<');
  expect(faults).toEqual([]);
});

test('copies on top are the ten newest pinned, and the feed keeps its numbers', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(14));
  const faults = await open(page, broker, '/t/harbour');
  const pins = page.locator('[data-live=pins] > article');
  const pinned = () => pins.evaluateAll((all) => all.map(({ id }) => id.replace('pin-n', '')));
  for (let number = 1; number <= 12; number++) await broker.revise('harbour', `n${number}`, { pinned: true });
  await expect.poll(pinned).toEqual(['12', '11', '10', '9', '8', '7', '6', '5', '4', '3']);
  // Each keeps its place in the feed; a copy has no number there.
  await expect(page.locator('[data-live=feed] > .pinned')).toHaveCount(12);
  const feed = page.locator('[data-live=feed] > article');
  await expect.poll(() => feed.evaluateAll((all) => all.map((each) => `${each.getAttribute('aria-posinset')}/${each.getAttribute('aria-setsize')}`)))
    .toEqual(Array.from({ length: 14 }, (_, index) => `${index + 1}/14`));
  await expect(page.locator('[data-live=pins] [aria-posinset]')).toHaveCount(0);
  // Where one leaves, the next older one takes its place, as on the server's page: unpinned, or taken back.
  await broker.revise('harbour', 'n12', { pinned: false });
  await expect.poll(pinned).toEqual(['11', '10', '9', '8', '7', '6', '5', '4', '3', '2']);
  await broker.retract('harbour', 'n10');
  await expect.poll(pinned).toEqual(['11', '9', '8', '7', '6', '5', '4', '3', '2', '1']);
  await broker.publish('harbour', { id: 'n15', headline: 'Number 15', pinned: true });
  await expect.poll(pinned).toEqual(['15', '11', '9', '8', '7', '6', '5', '4', '3', '2']);
  await expect(feed.first()).toHaveAttribute('aria-setsize', '15');
  const open_ = await said(page);
  await page.reload();
  await isLive(page);
  expect(await said(page)).toEqual(open_);
  expect(faults).toEqual([]);
});

test('a page of the archive stays as it is: it has no copies', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(70));
  await open(page, broker, '/t/harbour?page=1');
  await broker.revise('harbour', 'n3', { pinned: true, headline: 'Pinned' });
  await expect(page.locator('#e-n3')).toContainText('Pinned');
  await expect(page.locator('[data-live=pins] > article')).toHaveCount(0);
});

test('title, summary, key points, and the end with its successor reach the open page', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(30));
  await open(page, broker, '/t/harbour');
  await broker.putTopic('harbour', { title: 'New title', summary: { markdown: 'All *calm*.' }, key_points: ['One', 'Two'] });
  await expect(page.locator('h1')).toHaveText('New title');
  await expect(page).toHaveTitle('New title');
  await expect(page.locator('[data-live=summary] em')).toHaveText('calm');
  await expect(page.locator('[data-live=points] li')).toHaveText(['One', 'Two']);
  await readAt(page, 'n10');
  const before = await topOf(page, 'n10');
  await broker.endTopic('harbour', { topic: 'day-2', title: 'The morning after' });
  await expect(page.locator('[part=notice] a')).toHaveText('The morning after');
  await expect(page.locator('[part=notice] a')).toHaveAttribute('href', '/t/day-2');
  await expect(page.locator('live-blog [part~=connection]')).toHaveText('Ended');
  await expect(page.locator('[data-live=handover] a')).toHaveText('The morning after');
  expect(Math.abs((await topOf(page, 'n10')) - before)).toBeLessThanOrEqual(1);
});

test('paused, nothing changes but for a retraction, and all of it comes with resume', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(3));
  await open(page, broker, '/t/harbour');
  const pause = page.locator('live-blog [part~=pause]');
  await pause.click();
  await expect(page.locator('live-blog [part~=connection]')).toHaveText('Paused');
  await broker.publish('harbour', { id: 'new', headline: 'New' });
  await broker.revise('harbour', 'n1', { headline: 'Revised' });
  await broker.retract('harbour', 'n2');
  await expect(page.locator('#e-n2')).toContainText('retracted');
  await expect(page.locator(updates)).toHaveText('1 new update');
  await expect(page.locator('#e-n1 h3')).toHaveText('Number 1');
  await pause.click();
  await expect(page.locator('#e-n1 h3')).toHaveText('Revised');
  await expect(page.locator('#e-new')).toBeVisible();
});

test('the order turns, and new entries come in at its other end', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(4));
  await open(page, broker, '/t/harbour');
  await page.locator('live-blog [part~=order]').click();
  expect(await ids(page)).toEqual(['n1', 'n2', 'n3', 'n4']);
  await broker.publish('harbour', { id: 'n5', headline: 'Number 5' });
  await page.evaluate(() => scrollTo({ top: document.body.scrollHeight, behavior: 'instant' }));
  await expect(page.locator('#e-n5')).toBeVisible();
  expect(await ids(page)).toEqual(['n1', 'n2', 'n3', 'n4', 'n5']);
});

test('whoever comes back to a tab in the background is told what came meanwhile', async ({ broker, page }) => {
  await page.clock.install();
  await broker.putTopic('harbour', { title: 'Storm night' });
  await broker.publishAll('harbour', many(3));
  await open(page, broker, '/t/harbour');
  const show = (isHidden: boolean): Promise<void> =>
    page.evaluate((isHidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => isHidden });
      document.dispatchEvent(new Event('visibilitychange'));
    }, isHidden);
  await show(true);
  await broker.publishAll('harbour', many(14, 4).map((entry, index) => ({ ...entry, key_event: index < 2 })));
  await broker.revise('harbour', 'n2', { correction: { note: 'A slip.' } });
  // Nobody looks: they are counted, and wait.
  await expect(page).toHaveTitle('(14) Storm night');
  await expect(page.locator('#e-n2 .correction')).toHaveText('Correction A slip.');
  await page.clock.fastForward(61_000);
  await show(false);
  await expect(page.locator('live-blog [part=notice]')).toContainText('While you were away: 14 updates, 2 key, 1 correction');
  await expect(page.locator('#e-n17')).toBeVisible();
  await expect(page).toHaveTitle('Storm night');
  await page.locator('live-blog [part=dismiss]').click();
  await expect(page.locator('live-blog [part=notice]')).toBeHidden();
});
