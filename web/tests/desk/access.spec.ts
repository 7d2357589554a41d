/** Whoever works with the desk: by keyboard alone, on a phone, with a screen reader, in the dark. */
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, test } from '../support/browser.js';
import { Desk } from '../support/desk.js';

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

async function hasNoViolations(page: Page, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
  const found = violations.map(({ id, nodes }) => `${where}: ${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  expect(found).toEqual([]);
}

/** Nothing is wider than the page, and what is touched is large enough (WCAG 2.5.8). */
async function fits(page: Page, where: string): Promise<void> {
  const found = await page.evaluate(() => {
    const wrong: string[] = [];
    if (document.documentElement.scrollWidth > innerWidth) wrong.push(`scrolls sideways: ${document.documentElement.scrollWidth}`);
    for (const node of document.querySelectorAll('button, select, input, summary, a.button')) {
      const { width, height } = node.getBoundingClientRect();
      if (width && (width < 20 || (height < 24 && !node.matches('[type=checkbox], [type=radio]')))) wrong.push(`${node.outerHTML} ${width}x${height}`);
    }
    return wrong;
  });
  expect(found, where).toEqual([]);
}

for (const [device, width, height, colorScheme] of [['desktop', 1280, 800, 'light'], ['phone', 390, 844, 'dark'], ['narrow phone', 320, 640, 'light']] as const) {
  test(`every screen is free of violations: ${device}, ${colorScheme}`, async ({ broker, browser }) => {
    await broker.putTopic('harbour', { title: 'Storm night at the harbour', key_points: ['The barrier holds'] });
    await broker.publish('harbour', {
      id: 'e', headline: 'The barrier is closed', key_event: true, pinned: true, verification: 'disputed', tags: ['service'],
      body: { markdown: 'At **20:31**. [Map](https://example.org)\n\n> Quote\n\n| a | b |\n|---|---|\n| a_very_long_word_that_does_not_break_by_itself_anywhere_at_all | 2 |' },
      sources: [{ name: 'Port office', url: 'https://example.org' }], related_links: [{ title: 'Tides', url: 'https://example.org' }],
      authors: [{ name: 'Ada Lee' }],
    });
    await broker.publish('harbour', { id: 'gone', headline: 'Wrong' });
    await broker.retract('harbour', 'gone', 'It was another gate.');
    await broker.publish('harbour', { headline: 'Held', released_at: new Date(Date.now() + 3_600_000).toISOString() });
    const page = await (await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce' })).newPage();
    const check = async (where: string): Promise<void> => {
      await hasNoViolations(page, where);
      await fits(page, where);
    };
    await page.goto(`${broker.url}/desk`);
    await check('signing in');
    const desk = await Desk.open(page, broker.url, broker.key);
    await expect(page.locator('.topic-row')).toHaveCount(1);
    await check('topics');
    await page.getByRole('button', { name: 'New live blog' }).click();
    await check('new topic');
    await page.keyboard.press('Escape');
    await desk.goTo('harbour');
    await desk.publish('Pumps are running', 'Both of them.');
    await desk.write('Next', 'With a **preview**.');
    for (const fold of ['Byline', 'Sources and links', 'Tags', 'Embargo']) await desk.unfold(fold);
    await page.getByRole('button', { name: 'Add source' }).click();
    await page.getByRole('button', { name: 'Add link' }).click();
    await expect(desk.preview.locator('strong')).toBeVisible();
    await expect(page.locator('.held .card')).toBeVisible();
    await desk.card('The barrier is closed').getByRole('button', { name: /^Retract/ }).click();
    await check('topic');
    for (const [name, where] of [['Details', 'details'], ['End …', 'end']] as const) {
      await page.getByRole('button', { name, exact: true }).click();
      await check(where);
      await page.keyboard.press('Escape');
    }
    await desk.edit('The barrier is closed');
    await desk.text.fill('Mine.');
    await broker.revise('harbour', 'e', { body: { markdown: 'Theirs.' } });
    await page.getByRole('button', { name: 'See both' }).click();
    await check('conflict');
  });
}

test('an entry is published, revised and retracted by keyboard alone, and each step is told', async ({ broker, page }) => {
  await broker.putTopic('harbour', { title: 'Storm' });
  await page.goto(`${broker.url}/desk`);
  const status = page.locator('.quiet[role=status]');
  const focused = () => page.evaluate(() => {
    const node = document.activeElement as HTMLElement;
    return node.getAttribute('aria-label') ?? (node as HTMLInputElement).labels?.[0]?.textContent ?? node.textContent ?? '';
  });
  /** Goes on by Tab, or back by Shift+Tab, to what has this name. */
  const tabTo = async (name: string, key = 'Tab'): Promise<void> => {
    for (let step = 0; step < 60; step++) {
      if ((await focused()).startsWith(name)) return;
      await page.keyboard.press(key);
    }
    throw new Error(`no ${key} leads to ${name}`);
  };
  await tabTo('Key');
  await page.keyboard.type(broker.key);
  await page.keyboard.press('Enter');
  await expect(page.locator('.topic-row')).toHaveCount(1);
  await page.keyboard.press('Tab');
  await tabTo('Live');
  await page.keyboard.press('Enter');
  await expect(page.locator('.connection')).toHaveText('Up to date');
  await page.keyboard.press('Tab');
  await tabTo('Headline');
  await page.keyboard.type('By keyboard');
  await tabTo('Text');
  await page.keyboard.type('All of it.');
  await page.keyboard.press('ControlOrMeta+Enter');
  await expect(status).toHaveText('Entry: durable.');
  await expect.poll(focused).toContain('Text');
  await tabTo('Edit: By keyboard');
  await page.keyboard.press('Enter');
  await expect.poll(focused).toContain('Text');
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type('Some of it.');
  await page.keyboard.press('ControlOrMeta+Enter');
  await expect(status).toHaveText('Revision: durable.');
  await tabTo('Retract: By keyboard');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  await expect.poll(focused).toBe('Retract: By keyboard');
  await page.keyboard.press('Enter');
  await page.keyboard.type('A test');
  await page.keyboard.press('Enter');
  await expect(status).toHaveText('Retraction: durable.');
  await expect(page.locator('.card.tombstone')).toContainText('A test');
});
