/** Screenshots of the desk, to be looked at: phone and desktop, light and dark. They are kept out of the repository. */
import { expect, test } from '../support/browser.js';
import { Desk } from '../support/desk.js';

const FOLDER = process.env['TENBELLS_SCREENSHOTS'];
test.skip(!FOLDER, 'TENBELLS_SCREENSHOTS names no folder');

for (const [device, width, height] of [['desktop', 1280, 860], ['phone', 390, 844]] as const) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`${device}, ${colorScheme}`, async ({ broker, browser }) => {
      const page = await (await browser.newContext({ viewport: { width, height }, colorScheme, hasTouch: device === 'phone', isMobile: device === 'phone' })).newPage();
      const shoot = (name: string) => page.screenshot({ path: `${FOLDER}/desk-${name}-${device}-${colorScheme}.png` });
      await broker.putTopic('harbour', { title: 'Storm night at the harbour', key_points: ['The barrier holds'] });
      await broker.putTopic('council', { title: 'Council votes on the budget' });
      await broker.publish('council', { headline: 'The sitting is open' });
      await broker.publish('harbour', { id: 'a', headline: 'The ferries stay in port', body: { markdown: 'All crossings until **midnight** are cancelled, the line says.\n\n> We will not risk it.' }, authors: [{ name: 'Ben Okoro' }], sources: [{ name: 'Harbour Line', url: 'https://example.org' }], tags: ['ferries'] });
      await broker.publish('harbour', { id: 'b', headline: 'Wrong gate', body: { text: 'x' } });
      await broker.retract('harbour', 'b', 'It was another gate.');
      await broker.publish('harbour', { id: 'c', headline: 'The barrier is closed', key_event: true, pinned: true, verification: 'confirmed', body: { markdown: 'The last gate went down at **20:31**.' }, authors: [{ name: 'Ada Lee' }, { name: 'Example Wire', type: 'organization' }] });
      await broker.publish('harbour', { id: 'h', headline: 'The mayor speaks', body: { text: 'Embargoed statement.' }, released_at: new Date(Date.now() + 5_400_000).toISOString() });
      await page.goto(`${broker.url}/desk`);
      await shoot('signin');
      const desk = await Desk.open(page, broker.url, broker.key);
      await expect(page.locator('.topic-row')).toHaveCount(2);
      await shoot('topics');
      await desk.goTo('harbour');
      await desk.publish('Pumps are running', 'Both pumps of the lower town are running.');
      await desk.write('Water at 4.2 metres', 'The gauge at the old pier shows **4.2 m**, ten centimetres more than an hour ago.\n\n- rising slowly\n- high tide at 23:10');
      await expect(desk.preview).toContainText('ten centimetres');
      await shoot('topic');
      await page.screenshot({ path: `${FOLDER}/desk-whole-${device}-${colorScheme}.png`, fullPage: true });
      await page.locator('[data-entry="a"]').getByRole('button', { name: /Retract/ }).click();
      await shoot('retract');
      await page.getByRole('button', { name: 'Details' }).click();
      await shoot('details');
      await page.keyboard.press('Escape');
      await desk.edit('The ferries stay in port');
      await desk.text.fill('Mine.');
      await broker.revise('harbour', 'a', { body: { markdown: 'Theirs, and quite another text.' } });
      await page.getByRole('button', { name: 'See both' }).click();
      await shoot('conflict');
      await page.keyboard.press('Escape');
      await desk.goTo('council');
      await shoot('second');
      for (const fold of ['Byline', 'Sources and links', 'Tags', 'Embargo']) await desk.unfold(fold);
      await page.getByRole('button', { name: 'Add source' }).click();
      await page.getByRole('button', { name: 'Add link' }).click();
      await desk.headline.scrollIntoViewIfNeeded();
      await page.screenshot({ path: `${FOLDER}/desk-folds-${device}-${colorScheme}.png`, fullPage: true });
      await page.getByRole('button', { name: 'End …' }).click();
      await shoot('end');
      await page.keyboard.press('Escape');
      await broker.kill();
      await desk.write('Typed while the broker is away', 'It waits.');
      await desk.text.press('ControlOrMeta+Enter');
      await expect(desk.sent.first()).toContainText('Kept here');
      await expect(page.locator('.connection')).toContainText('No connection', { timeout: 40_000 });
      // Its row is a new one with each attempt: what it takes time to scroll to is gone.
      await desk.sent.first().evaluate((row) => row.scrollIntoView({ behavior: 'instant', block: 'center' }));
      await shoot('offline');
    });
  }
}
