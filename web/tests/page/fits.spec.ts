/** The page by keys alone, in small windows and at 200 %, without motion, and on paper. */
import type { Page } from '@playwright/test';
import type { Broker } from '../support/broker.js';
import { expect, test } from '../support/browser.js';
import { frames, many, open, readAt } from '../support/reader.js';

const updates = 'live-blog [part=updates]';

/** Long words, a wide table, code: what is likely to be wider than a phone. */
async function fill(broker: Broker): Promise<void> {
  await broker.putTopic('harbour', {
    title: 'Hochwasserschutzmaßnahmenkoordinierungsstelle: the night at the harbour', summary: 'All calm.', key_points: ['One'],
  });
  await broker.publishAll('harbour', many(40));
  await broker.publish('harbour', {
    id: 'whole', headline: 'Donaudampfschifffahrtsgesellschaftskapitänswitwe', key_event: true, pinned: true, verification: 'unconfirmed',
    body: { markdown: `${'https://example.org/a-very-long-address/'.repeat(6)}\n\n| gate | closed at | by whom it was closed | and why it was |\n|---|---|---|---|\n| 1 | 20:02 | remote control | the_water_rises_and_rises |\n\n\`\`\`\n${'x'.repeat(200)}\n\`\`\`` },
    authors: [{ name: 'Ada Lee' }, { name: 'Wire', type: 'organization' }], tags: ['service', 'a-rather-long-tag-that-goes-on-and-on'],
    sources: [{ name: 'Harbour office', role: 'official' }], related_links: [{ title: 'Map', url: 'https://example.org/map' }],
  });
}

/** What stands out of the window or is cut off, and what is too small to be touched (WCAG 2.5.8). */
const wrongOn = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const wrong: string[] = [];
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) wrong.push(`the page is ${scrollWidth} wide in ${clientWidth}`);
    const all = [...document.querySelectorAll('body *'), ...document.querySelector('live-blog')!.shadowRoot!.querySelectorAll('*')];
    for (const node of all) {
      const { left, right, width, height } = node.getBoundingClientRect();
      // What is there for screen readers alone has one pixel.
      if (width <= 1 || node.closest('.skip')) continue;
      const name = `${node.outerHTML.slice(0, 80)} ${Math.round(left)} to ${Math.round(right)}, ${Math.round(height)} high`;
      // What is wide by nature scrolls in a box of its own.
      const hasBox = node.parentElement?.closest('table, pre');
      if (!hasBox && (left < -1 || right > clientWidth + 1)) wrong.push(`out of the window: ${name}`);
      if (/hidden|clip/.test(getComputedStyle(node).overflowX) && node.scrollWidth > node.clientWidth + 1) wrong.push(`cut off: ${name}`);
      if (node.matches('button, summary, select') && (height < 24 || width < 24)) wrong.push(`too small: ${name}`);
    }
    return wrong;
  });

for (const [name, width, height, text] of [
  ['320 pixels', 320, 640, '100%'],
  ['1280 × 720 at 200 %', 640, 360, '100%'],
  ['text at 200 %', 1280, 720, '200%'],
  ['text at 200 % on a phone', 390, 844, '200%'],
] as const) {
  test(`nothing is cut off, and nothing scrolls sideways: ${name}`, async ({ broker, page }) => {
    await fill(broker);
    await page.setViewportSize({ width, height });
    await open(page, broker, '/t/harbour');
    await page.evaluate((text) => (document.documentElement.style.fontSize = text), text);
    await frames(page);
    expect(await wrongOn(page), 'at the top').toEqual([]);
    await readAt(page, 'whole');
    await broker.publishAll('harbour', many(2, 100));
    await readAt(page, 'n30');
    await broker.publish('harbour', 'One more');
    await expect(page.locator(updates)).toBeInViewport();
    await broker.endTopic('harbour', { topic: 'day-2', title: 'A rather long title of what comes after the night at the harbour' });
    await expect(page.locator('[part=notice]')).toBeInViewport();
    expect(await wrongOn(page), 'further down').toEqual([]);
    // What hangs over the page is seen whole, and leaves most of it to be read once it is dismissed.
    const covered = (part: string): Promise<number> => page.locator(`live-blog [part=${part}]`).evaluate((node) => node.getBoundingClientRect().bottom / innerHeight);
    expect(await covered('notice')).toBeLessThanOrEqual(1);
    await page.locator('live-blog [part=dismiss]').click();
    expect(Math.max(await covered('bar'), await covered('updates'))).toBeLessThan(0.6);
  });
}

test('everything is reached and done by keys alone', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(60, 1001));
  await fill(broker);
  await open(page, broker, '/t/harbour');
  const focused = (): Promise<string> => page.evaluate(() => {
    let node = document.activeElement;
    while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
    return (node?.getAttribute('aria-label') ?? node?.textContent ?? '').trim().replace(/\s+/g, ' ');
  });
  const tabTo = async (name: RegExp, key = 'Tab'): Promise<void> => {
    for (let step = 0; step < 40; step++) {
      await page.keyboard.press(key);
      if (name.test(await focused())) return;
    }
    throw new Error(`no ${key} leads to ${name}`);
  };
  // The first stop leads past everything else.
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to the updates' })).toBeInViewport();
  await page.keyboard.press('Enter');
  await expect(page.locator('#updates')).toBeFocused();
  // Back from there to the controls, which say what they do.
  await tabTo(/^Pause$/, 'Shift+Tab');
  await page.keyboard.press('Space');
  await expect(page.locator('live-blog [part~=connection]')).toHaveText('Paused');
  await expect.poll(focused).toBe('Resume');
  await page.keyboard.press('Enter');
  await expect(page.locator('live-blog [part~=connection]')).toHaveText('Live');
  // A key event is jumped to, and is where reading goes on.
  await tabTo(/^Donaudampf/, 'Shift+Tab');
  await page.keyboard.press('Enter');
  await expect(page.locator('#e-whole')).toBeFocused();
  await page.keyboard.press('PageDown');
  await expect(page.locator('#e-n40')).toBeFocused();
  // What comes meanwhile waits, until one key leads out of the feed, to its top.
  await broker.publish('harbour', { id: 'new', headline: 'New' });
  await expect(page.locator(updates)).toHaveText('1 new update');
  await page.keyboard.press('Control+Home');
  await expect(page.locator('#e-new')).toBeVisible();
  await expect(page.locator(updates)).toBeHidden();
  // Further down it waits behind a button, one step from the others.
  await readAt(page, 'n20');
  await page.locator('live-blog [part~=pause]').evaluate((button) => (button as HTMLElement).focus({ preventScroll: true }));
  await broker.publish('harbour', { id: 'later', headline: 'Later' });
  await expect(page.locator(updates)).toHaveText('1 new update');
  await page.keyboard.press('Tab');
  await expect.poll(focused).toBe('1 new update');
  await page.keyboard.press('Enter');
  await expect(page.locator('#e-later')).toBeFocused();
  await expect(page.locator('#e-later')).toBeInViewport();
  // And behind the feed, by one key, the older ones.
  await page.keyboard.press('Control+End');
  await expect.poll(focused).toBe('Load older updates');
  await page.keyboard.press('Enter');
  await expect(page.locator('#e-n1060')).toBeFocused();
  // From anywhere in the feed, one key leads before it, and some more to what the end of the blog is told by.
  await broker.endTopic('harbour', { topic: 'day-2', title: 'The morning after' });
  await page.keyboard.press('Control+Home');
  await tabTo(/^Dismiss$/, 'Shift+Tab');
  await page.keyboard.press('Enter');
  await expect(page.locator('[part=notice]')).toBeHidden();
  await expect.poll(focused).toBe('Pause');
});

test('whoever wants no motion gets none', async ({ broker, page }) => {
  await broker.publishAll('harbour', many(30));
  const smooth = (): Promise<string> => page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior);
  await page.emulateMedia({ reducedMotion: 'no-preference' });
  await open(page, broker, '/t/harbour');
  await broker.publish('harbour', { id: 'moves', headline: 'Moves' });
  await expect(page.locator('#e-moves')).toHaveCSS('animation-name', 'arrive');
  expect(await smooth()).toBe('smooth');
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await expect(page.locator('#e-moves')).toHaveCSS('animation-name', 'none');
  await broker.publish('harbour', { id: 'still', headline: 'Still' });
  await expect(page.locator('#e-still')).toBeVisible();
  await expect(page.locator('#e-still')).not.toHaveClass(/fresh/);
  expect(await smooth()).toBe('auto');
  // A jump is there at once: no frame in between.
  await readAt(page, 'n5');
  await broker.publish('harbour', { id: 'jump', headline: 'Jump' });
  await expect(page.locator(updates)).toBeVisible();
  const positions = await page.evaluate(async (selector) => {
    const blog = document.querySelector('live-blog')!;
    (blog.shadowRoot!.querySelector(selector) as HTMLElement).click();
    const seen = new Set<number>();
    for (let frame = 0; frame < 20; frame++) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      seen.add(Math.round(scrollY / 100));
    }
    return seen.size;
  }, '[part=updates]');
  expect(positions).toBeLessThanOrEqual(3);
  expect(await page.evaluate(() => document.getAnimations().length)).toBe(0);
});

test('on paper there is the blog, and nothing else', async ({ broker, page }) => {
  await fill(broker);
  await broker.revise('harbour', 'n39', { correction: { note: 'It was gate 4.' } });
  await page.emulateMedia({ colorScheme: 'dark' });
  await open(page, broker, '/t/harbour');
  await page.setViewportSize({ width: 700, height: 990 });
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  for (const hidden of ['live-blog [part=bar]', '.masthead', '.skip', '[data-live=older]', '[data-live=pins]']) {
    await expect(page.locator(hidden), hidden).toBeHidden();
  }
  // Black on white whatever the screen has, and no entry is left out for being far down.
  await expect(page.locator('html')).toHaveCSS('background-color', 'rgb(255, 255, 255)');
  await expect(page.locator('#e-whole h3')).toHaveCSS('color', 'rgb(0, 0, 0)');
  const shown = await page.locator('[data-live=feed] > article').evaluateAll((all) =>
    all.filter((each) => getComputedStyle(each).contentVisibility === 'visible' && each.querySelector('.body')!.getBoundingClientRect().height > 0).length);
  expect(shown).toBe(await page.locator('[data-live=feed] > article').count());
  await expect(page.locator('#e-n39 .correction')).toBeVisible();
  // Where a link leads is read, as it can't be clicked.
  const address = await page.locator('#e-whole .related a').evaluate((link) => getComputedStyle(link, '::after').content);
  expect(address).toContain('https://example.org/map');
  expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
});

test('a newsroom’s style sheet sets colours and parts anew, and nothing else is needed', async ({ broker, page }) => {
  await fill(broker);
  await open(page, broker, '/t/harbour');
  await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(':root { --tb-link: rgb(1, 2, 3); --tb-live: rgb(4, 5, 6); } live-blog::part(updates) { border-radius: 7px; } live-blog::part(is-live) { letter-spacing: 3px; }');
    document.adoptedStyleSheets.push(sheet);
  });
  await expect(page.locator('#e-whole .related a')).toHaveCSS('color', 'rgb(1, 2, 3)');
  await expect(page.locator('[data-live=state]')).toHaveCSS('background-color', 'rgb(4, 5, 6)');
  await expect(page.locator('live-blog [part~=connection]')).toHaveCSS('letter-spacing', '3px');
  await expect(page.locator('live-blog [part~=connection]')).toHaveCSS('color', 'rgb(4, 5, 6)');
  await expect(page.locator(updates)).toHaveCSS('border-radius', '7px');
});
