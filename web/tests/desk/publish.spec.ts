/** The work of an editor, from a new topic to its end, against the real broker. */
import { expect, test } from '../support/browser.js';
import { anotherPage, Desk } from '../support/desk.js';

test('a topic is made, an entry written with all it can have, and published as the preview shows it', async ({ broker, page }) => {
  const violations: string[] = [];
  page.on('console', (message) => {
    if (/Content Security Policy|TrustedHTML/.test(message.text())) violations.push(message.text());
  });
  const desk = await Desk.open(page, broker.url, broker.key);
  await expect(page.getByText('No live blog yet')).toBeVisible();
  await page.getByRole('button', { name: 'New live blog' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Title').fill('Sturm über dem Hafen!');
  await expect(dialog.getByLabel('Name')).toHaveValue('sturm-uber-dem-hafen');
  await dialog.getByLabel('Name').fill('hafen');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await desk.isLive();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sturm über dem Hafen!');

  await desk.write('Tore <zu>', 'Um **20:31** fiel das letzte Tor.\n\n<script>alert(1)</script>\n\n[Karte](https://example.org/map)');
  await page.getByLabel('Key event').check();
  await page.getByLabel('Pin to the top').check();
  await page.getByLabel('Verification').selectOption('developing');
  await desk.unfold('Byline');
  await page.getByLabel('Name', { exact: true }).fill('Ada Lee');
  await page.getByRole('button', { name: 'Add author' }).click();
  await page.getByLabel('Name', { exact: true }).nth(1).fill('Example Wire');
  await page.getByLabel('Person or organisation').nth(1).selectOption('Organisation');
  await desk.unfold('Sources and links');
  await page.getByRole('button', { name: 'Add source' }).click();
  await page.getByLabel('Source', { exact: true }).fill('Port office');
  await page.getByLabel('Role (photo …)').fill('photo');
  await page.getByRole('button', { name: 'Add link' }).click();
  await page.getByLabel('Title', { exact: true }).fill('Tides');
  await page.getByRole('group', { name: 'Related links' }).getByLabel('Link (https://…)').fill('https://example.org/tides');
  await desk.unfold('Tags');
  await page.getByLabel('Tags', { exact: true }).fill('service, storm');
  await expect(desk.preview.locator('strong')).toHaveText('20:31');
  await expect(desk.preview).toContainText('Ada Lee, Example Wire');
  const preview = await desk.preview.locator('.body').innerHTML();
  await desk.text.press('ControlOrMeta+Enter');
  await expect(desk.sent).toContainText(/Durable at position [a-z0-9]+-2/);

  const [, { entry }] = await broker.changes('hafen');
  expect(entry).toMatchObject({
    headline: 'Tore <zu>', key_event: true, pinned: true, verification: 'developing', tags: ['service', 'storm'],
    authors: [{ name: 'Ada Lee', type: 'person' }, { name: 'Example Wire', type: 'organization' }],
    sources: [{ name: 'Port office', role: 'photo' }], related_links: [{ title: 'Tides', url: 'https://example.org/tides' }],
  });
  expect(entry.id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
  // What was seen is what was published, but for where links open.
  const bare = (html: string) => html.replace(/ (target|rel)="[^"]*"/g, '');
  expect(bare(preview)).toBe(bare(entry.body_html));
  expect(entry.body_html).not.toContain('script');
  await expect(desk.card('Tore <zu>').locator('.body')).toHaveText(/Um 20:31/);
  // The byline is remembered for the next entry.
  await expect(page.locator('summary', { hasText: 'Byline' })).toContainText('Ada Lee, Example Wire');
  await expect(desk.headline).toHaveValue('');
  await page.reload();
  await desk.isLive();
  await expect(page.locator('summary', { hasText: 'Byline' })).toContainText('Ada Lee, Example Wire');
  expect(violations).toEqual([]);
});

test('what the desk publishes, corrects, pins and retracts is seen in another browser', async ({ broker, page, browser }) => {
  await broker.publish('harbour', { id: 'first', headline: 'The gates close' });
  const reader = await anotherPage(browser);
  await reader.goto(`${broker.url}/t/harbour`);
  await expect(reader.locator('#e-first')).toBeVisible();
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await desk.publish('Water at 4 metres', 'It rises.');
  await expect(reader.getByText('Water at 4 metres').first()).toBeVisible();

  await desk.edit('Water at 4 metres');
  await desk.headline.fill('Water at 4.2 metres');
  await page.getByLabel('Correction note').fill('An earlier version had 4 metres.');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.card('Water at 4.2 metres')).toContainText('An earlier version had 4 metres.');
  await expect(reader.getByText('An earlier version had 4 metres.').first()).toBeVisible();
  await expect(page.getByRole('heading', { name: 'New entry' })).toBeVisible();

  await desk.card('4.2 metres').getByRole('button', { name: /^Retract/ }).click();
  await page.getByLabel('Reason of the retraction').fill('The gauge was broken.');
  await page.keyboard.press('Enter');
  await expect(desk.card('The gauge was broken.')).toContainText('Gone from every page');
  await expect(page.locator('.entries')).not.toContainText('4.2 metres');
  await expect(desk.sent.filter({ hasText: 'Retraction' })).toContainText('Durable at position');
  await expect(reader.getByText('Water at 4.2 metres')).toHaveCount(0);
  await expect(reader.getByText('The gauge was broken.').first()).toBeVisible();
  const replay = await broker.changes('harbour');
  expect(JSON.stringify(replay)).not.toContain('4.2 metres');
});

test('a pin and a key event are set with one click, and taken back with another', async ({ broker, page }) => {
  await broker.publish('harbour', { id: 'e', headline: 'The gates close', tags: ['London, Ontario'] });
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  const entry = () => broker.call('GET', '/v1/topics/harbour/entries/e');
  const card = desk.card('The gates close');
  for (const [name, field] of [['Pin', 'pinned'], ['Key event', 'key_event']] as const) {
    const toggle = card.getByRole('button', { name: new RegExp(`^${name}`) });
    await toggle.click();
    await expect(toggle).toHaveAttribute('aria-pressed', 'true');
    await expect(toggle).toBeFocused();
    expect(await entry()).toMatchObject({ [field]: true });
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect(toggle).toHaveAttribute('aria-pressed', 'false');
    expect(await entry()).toMatchObject({ [field]: false, tags: ['London, Ontario'] });
  }
  // A mark on the entry in hand is no revision by somebody else.
  await desk.edit('The gates close');
  await desk.text.fill('For the night.');
  await card.getByRole('button', { name: /^Pin/ }).click();
  await expect(card).toHaveAttribute('data-revision', '6');
  await expect(page.getByText('revised meanwhile')).toHaveCount(0);
  await desk.text.press('ControlOrMeta+Enter');
  await expect(card).toContainText('For the night.');
  expect(await entry()).toMatchObject({ pinned: true, revision: 7, tags: ['London, Ontario'] });
});

test('details of the blog, its end with a successor, and its reopening', async ({ broker, page, browser }) => {
  await broker.publish('harbour', { id: 'e', headline: 'The gates close' });
  await broker.putTopic('morning', { title: 'The morning after' });
  const reader = await anotherPage(browser);
  await reader.goto(`${broker.url}/t/harbour`);
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await page.getByRole('button', { name: 'Details' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Title', { exact: true }).fill('Storm night');
  await dialog.getByLabel('Summary').fill('The water *rises*.');
  await dialog.getByLabel('Language').fill('en-GB');
  for (const point of ['The barrier holds', 'Ferries stay in port']) {
    await dialog.getByRole('button', { name: 'Add key point' }).click();
    await dialog.getByLabel('Key point', { exact: true }).last().fill(point);
  }
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Storm night');
  await expect(desk.sent).toContainText('Durable at position');
  expect(await broker.topic('harbour')).toMatchObject({
    title: 'Storm night', summary_html: '<p>The water <em>rises</em>.</p>', language: 'en-GB',
    key_points: ['The barrier holds', 'Ferries stay in port'], visibility: 'public',
  });
  await expect(reader.getByText('Ferries stay in port').first()).toBeVisible();

  await page.getByRole('button', { name: 'End …' }).click();
  await dialog.getByLabel('A topic here').fill('morning');
  await dialog.getByLabel('Its title').fill('The morning after');
  await dialog.getByRole('button', { name: 'End the blog' }).click();
  await expect(page.locator('.topic-title .pill')).toHaveText('Ended');
  await expect(reader.getByRole('link', { name: 'The morning after' }).first()).toBeVisible();
  expect(await broker.topic('harbour')).toMatchObject({ status: 'ended', successor: { topic: 'morning', title: 'The morning after' } });
  await desk.write('Too late');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(page.locator('.composer .error')).toHaveText('The blog has ended. Reopen it to publish.');

  await page.getByRole('button', { name: 'Reopen' }).click();
  await expect(page.locator('.topic-title .pill')).toHaveText('Live');
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.card('Too late')).toBeVisible();
});

test('the topics say how they stand, and the list follows', async ({ broker, page, browser }) => {
  await broker.publish('harbour', { headline: 'The gates close' });
  await broker.publish('pier', { headline: 'Closed' });
  await broker.endTopic('pier');
  await broker.putTopic('secret', { title: 'Not yet', visibility: 'private' });
  const reader = await anotherPage(browser);
  await reader.goto(`${broker.url}/t/harbour`);
  await Desk.open(page, broker.url, broker.key);
  const row = (topic: string) => page.locator('.topic-row', { has: page.locator(`[data-topic="${topic}"]`) });
  await expect(row('pier')).toContainText('Ended');
  await expect(row('secret')).toContainText('Private');
  await expect(row('secret')).toContainText('No entries yet');
  await expect(row('harbour')).toContainText('The gates close, just now');
  await expect(row('harbour')).toContainText('1 reader now');
  await expect(row('pier')).toContainText('0 readers now');
  await broker.publish('harbour', { headline: 'The barrier holds' });
  await expect(row('harbour')).toContainText('The barrier holds');
  await page.getByLabel('Find').fill('pier');
  await expect(page.locator('.topic-row')).toHaveCount(1);
  await page.getByLabel('Find').fill('');
  // A desk follows as readers do, and is none: neither on its own screen nor in the list of another.
  await row('harbour').getByRole('link').click();
  await expect(page.locator('.readers')).toHaveText('1 reader now');
  const other = await Desk.open(await anotherPage(browser), broker.url, broker.key);
  await expect.poll(async () => (await broker.topic('harbour')).readers).toBe(2);
  await expect(other.page.locator('.topic-row', { hasText: 'The barrier holds' })).toContainText('1 reader now');
});
