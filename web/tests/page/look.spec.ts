/** Screenshots of the reader's page, to be looked at: phone and desktop, light and dark. They are kept out of the repository. */
import type { Page } from '@playwright/test';
import type { Broker } from '../support/broker.js';
import { expect, test } from '../support/browser.js';
import { frames, many, open, readAt } from '../support/reader.js';

const FOLDER = process.env['TENBELLS_SCREENSHOTS'];
test.skip(!FOLDER, 'TENBELLS_SCREENSHOTS names no folder');

const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();

/** A night at the harbour, with everything that an entry can have. */
async function fill(broker: Broker): Promise<void> {
  await broker.putTopic('harbour', {
    title: 'Storm night at the harbour: barrier closed, ferries stay in port', language: 'en-GB',
    summary: { markdown: 'The surge is expected **shortly after eleven**. The barrier has been closed since the evening, and the lower town is told to stay indoors.' },
    key_points: ['The barrier is closed, for the first time in six years', 'No ferries before midnight', 'High tide at 23:10'],
    predecessor: { topic: 'noon', title: 'The storm comes nearer' },
  });
  await broker.putTopic('noon', { title: 'The storm comes nearer', summary: 'What happened until noon.' });
  await broker.publish('noon', { headline: 'Wind warning' });
  await broker.endTopic('noon', { topic: 'harbour', title: 'Storm night at the harbour' });
  await broker.publishAll('harbour', [
    ...many(6).map((entry, index) => ({ ...entry, published_at: ago(200 - index) })),
    { id: 'agency', published_at: ago(92), headline: 'Wind in gusts up to 130 km/h', authors: [{ name: 'Example Wire', type: 'organization' }], body: { text: 'The weather service has raised its warning to the second-highest level.' } },
    { id: 'wrong', published_at: ago(75), headline: 'Wrong' },
    { id: 'table', published_at: ago(61), headline: 'The gates, one by one', authors: [{ name: 'Ada Lee' }, { name: 'Bjørn Ødegård' }, { name: 'Example Wire', type: 'organization' }],
      body: { markdown: '| Gate | Closed | By |\n|---|---|---|\n| 1 | 20:02 | remote control |\n| 2 | 20:14 | remote control |\n| 3 | 20:31 | hand |\n\nThe third one had to be **lowered by hand**.\n\n- rising slowly\n- high tide at 23:10' },
      tags: ['barrier', 'service'], sources: [{ name: 'Harbour office', url: 'https://example.org' }, { name: 'Town hall', role: 'statement' }] },
    { id: 'rumour', published_at: ago(44), headline: 'People report water in the tunnel', verification: 'unconfirmed', body: { markdown: 'Several passengers say so; the operator has not answered yet.\n\n> “We stood in it up to our ankles, and nobody ‘knew’ anything.”' } },
    { id: 'level', published_at: ago(26), headline: 'Water at 4 metres', key_event: true, authors: [{ name: 'Ada Lee' }], body: { markdown: 'The gauge at the old pier shows **4.2 m**, ten centimetres more than an hour ago.' }, related_links: [{ title: 'All gauges of the coast', url: 'https://example.org/gauges' }] },
    { id: 'barrier', published_at: ago(12), headline: 'The barrier is closed', key_event: true, pinned: true, verification: 'confirmed', authors: [{ name: 'Ada Lee' }], body: { markdown: 'The last gate went down at **20:31**. [Map of the barrier](https://example.org/map)' } },
    { id: 'short', published_at: ago(0), body: { text: 'Police have closed the quay. Please keep away from the water.' } },
  ]);
  await broker.revise('harbour', 'level', { headline: 'Water at 4.2 metres', correction: { note: 'An earlier version of this update said 4 metres.' } });
  await broker.retract('harbour', 'wrong', 'It was another gate.');
}

for (const [device, width, height] of [['desktop', 1280, 860], ['phone', 390, 844]] as const) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`${device}, ${colorScheme}`, async ({ broker, newsroom, browser }) => {
      test.setTimeout(120_000);
      const page = await (await browser.newContext({ viewport: { width, height }, colorScheme, hasTouch: device === 'phone', isMobile: device === 'phone' })).newPage();
      const shoot = async (name: string, fullPage = false, of: Page = page): Promise<void> => {
        await frames(of);
        await of.screenshot({ path: `${FOLDER}/page-${name}-${device}-${colorScheme}.png`, fullPage, animations: 'disabled' });
      };
      await fill(broker);
      await open(page, broker, '/t/harbour');
      await shoot('top');
      await shoot('whole', true);
      await readAt(page, 'table');
      await broker.publishAll('harbour', [{ headline: 'Lights are out in the lower town' }, { headline: 'Power is back' }, { headline: 'Third' }]);
      await expect(page.locator('live-blog [part=updates]')).toHaveText('3 new updates');
      await shoot('waiting');
      await page.goto(`${broker.url}/t/harbour?entry=level#e-level`);
      await frames(page);
      await shoot('permalink');
      await broker.endTopic('harbour', { topic: 'harbour-2', title: 'The morning after' });
      await expect(page.locator('live-blog [part=notice]')).toBeVisible();
      await shoot('ends');
      await page.goto(`${broker.url}/t/harbour`);
      await frames(page);
      await shoot('ended');
      await page.goto(`${broker.url}/`);
      await shoot('index');
      await page.goto(`${broker.url}/t/nothing`);
      await shoot('absent');
      await broker.putTopic('quiet', { title: 'Election night' });
      await open(page, broker, '/t/quiet');
      await shoot('empty');
      await broker.putTopic('arabic', { title: 'ليلة العاصفة في الميناء', language: 'ar', summary: 'السد مغلق منذ المساء.', key_points: ['السد مغلق', 'لا عبّارات قبل منتصف الليل'] });
      await broker.publishAll('arabic', [
        { headline: 'الرياح تشتد', body: { text: 'رفعت مصلحة الأرصاد درجة التحذير.' }, authors: [{ name: 'Ada Lee' }] },
        { id: 'wrong', headline: 'خطأ' },
        { id: 'k', headline: 'أُغلق السد', key_event: true, pinned: true, body: { text: 'أُغلقت البوابة الأخيرة عند الساعة ٢٠:٣١.' }, sources: [{ name: 'مكتب الميناء' }] },
      ]);
      await broker.revise('arabic', 'k', { correction: { note: 'كانت البوابة الرابعة.' } });
      await broker.retract('arabic', 'wrong', 'كانت بوابة أخرى.');
      await open(page, broker, '/t/arabic');
      await shoot('rtl', true);
      // Behind a network that goes away.
      await page.goto(`${newsroom.url}/t/harbour`);
      await broker.call('POST', '/v1/topics/harbour/reopen');
      await page.reload();
      await expect(page.locator('live-blog [part~=connection]')).toHaveText('Live');
      await newsroom.goDown();
      await expect(page.locator('live-blog [part~=connection]')).toContainText('Offline', { timeout: 40_000 });
      await shoot('offline');
      await newsroom.comeUp();
    });
  }
}
