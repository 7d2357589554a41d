/** Two editors on one blog: who is here, and what happens when both change the same thing. */
import { expect, test } from '../support/browser.js';
import { anotherPage, Desk } from '../support/desk.js';

test('desks see each other, and what the other one edits', async ({ broker, page, browser }) => {
  await broker.publish('harbour', { id: 'e', headline: 'The gates close' });
  const ada = await Desk.open(page, broker.url, broker.key, 'harbour', 'Ada');
  const ben = await Desk.open(await anotherPage(browser), broker.url, await broker.createKey('desk', '*'), 'harbour', 'Ben');
  await expect(ben.page.locator('.here')).toHaveText('Also here: Ada');
  await ben.edit('The gates close');
  await expect(ada.page.locator('.here')).toHaveText('Also here: Ben (editing “The gates close”)', { timeout: 15_000 });
  await expect(ada.card('The gates close')).toContainText('Ben is editing this');
  // Desks are no readers.
  await expect(ada.page.locator('.readers')).toHaveText('0 readers now');
  await ben.page.goto('about:blank');
  await expect(ada.page.locator('.here')).toHaveText('', { timeout: 15_000 });
  await expect(ada.card('The gates close')).not.toContainText('editing');
});

test('whoever saves second sees both versions, and nobody’s work is lost', async ({ broker, page, browser }) => {
  await broker.publish('harbour', { id: 'e', headline: 'The gates close', body: { markdown: 'At **eight**.' }, tags: ['storm'] });
  const ada = await Desk.open(page, broker.url, broker.key, 'harbour', 'Ada');
  const ben = await Desk.open(await anotherPage(browser), broker.url, broker.key, 'harbour', 'Ben');
  for (const desk of [ada, ben]) await desk.edit('The gates close');
  await ben.headline.fill('The gates are closed');
  await ben.text.fill('At **nine**.');
  await ben.text.press('ControlOrMeta+Enter');
  await expect(ben.sent).toContainText('Durable');
  await expect(ada.page.locator('.composer .notice')).toContainText('This entry was revised meanwhile');
  // Ada saves all the same.
  await ada.text.fill('At **ten**.');
  await ada.unfold('Tags');
  await ada.page.getByRole('textbox', { name: 'Tags' }).fill('storm, gates');
  await ada.text.press('ControlOrMeta+Enter');
  await expect(ada.sent).toContainText('Kept here. Somebody else revised it first.');
  expect((await broker.call('GET', '/v1/topics/harbour/entries/e')).revision).toBe(2);
  await ada.sent.getByRole('button', { name: 'See both and choose' }).click();
  const dialog = ada.page.getByRole('dialog');
  await expect(dialog).toContainText('They changed, and it is kept: Headline.');
  await expect(dialog).toContainText('You changed, and it is kept: Tags.');
  const clash = dialog.getByRole('group', { name: 'Text' });
  await expect(clash.getByLabel('Theirs')).toBeVisible();
  await expect(clash).toContainText('At **nine**.');
  await expect(clash).toContainText('At **ten**.');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByRole('alert')).toHaveText('Choose one for: Text.');
  await clash.getByLabel('Mine').check();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(ada.card('At ten.')).toContainText('The gates are closed');
  expect(await broker.call('GET', '/v1/topics/harbour/entries/e')).toMatchObject({
    revision: 3, headline: 'The gates are closed', body_text: 'At ten.', tags: ['storm', 'gates'],
  });
});

test('an entry that is taken back while it is edited leaves its text for a new one', async ({ broker, page }) => {
  await broker.publish('harbour', { id: 'e', headline: 'The gates close' });
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await desk.edit('The gates close');
  await desk.headline.fill('The barrier closes');
  await broker.retract('harbour', 'e');
  await page.getByRole('button', { name: 'Make it a new entry' }).click();
  await expect(page.getByRole('heading', { name: 'New entry' })).toBeVisible();
  await desk.headline.press('ControlOrMeta+Enter');
  await expect(desk.card('The barrier closes')).toBeVisible();
  expect((await broker.changes('harbour')).map(({ kind }) => kind)).toEqual(['entry.redacted', 'entry.retracted', 'entry.published']);
});

test('two editors of the blog’s details choose as well', async ({ broker, page }) => {
  await broker.putTopic('harbour', { title: 'Storm', key_points: ['One'] });
  await Desk.open(page, broker.url, broker.key, 'harbour');
  await page.getByRole('button', { name: 'Details' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Title', { exact: true }).fill('Storm night');
  await broker.call('PATCH', '/v1/topics/harbour', { title: 'Storm at sea', language: 'en-GB' });
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: 'See both and choose' }).click();
  await dialog.getByRole('group', { name: 'Title' }).getByLabel('Mine').check();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Storm night');
  expect(await broker.topic('harbour')).toMatchObject({ title: 'Storm night', language: 'en-GB', key_points: ['One'] });
});
