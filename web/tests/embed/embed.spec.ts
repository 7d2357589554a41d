/** A live blog on a page of another origin: by one script tag, by the server's fragment, by oEmbed. */
import AxeBuilder from '@axe-core/playwright';
import { expect, test as base } from '../support/browser.js';
import { Broker } from '../support/broker.js';
import { Foreign, told, watch } from '../support/foreign.js';

const test = base.extend<{ foreign: Foreign }>({
  foreign: async ({}, use) => {
    const foreign = await Foreign.start();
    await use(foreign);
    await foreign.stop();
  },
  // The site is on the broker's list.
  broker: async ({ foreign }, use, info) => {
    const broker = await Broker.start(`origins = ["${foreign.url}"]\npublic_url = "{url}"`);
    foreign.broker = broker.url;
    await use(broker);
    if (info.status !== info.expectedStatus) await info.attach('broker.log', { body: broker.log() });
    await broker.stop();
  },
});

const tag = (broker: Broker, more = ''): string => `<script src="${broker.url}/embed.js" data-topic="harbour" ${more}></script>`;

test('one script tag: the blog is there and goes live, under a strict policy, and nothing moves', async ({ broker, foreign, page }) => {
  await broker.putTopic('harbour', { title: 'Storm at the harbour' });
  await broker.publishAll('harbour', Array.from({ length: 30 }, (_, index) => ({ id: `e${index}`, headline: `Number ${index}`, body: { text: 'Rain. '.repeat(40) } })));
  await watch(page);
  await page.goto(foreign.article('/story', tag(broker, 'data-height="480"')));
  const below = page.locator('#below');
  const blog = page.locator('live-blog');
  const place = await below.boundingBox();
  expect((await blog.boundingBox())!.height).toBe(480);
  await expect(blog.locator('article')).toHaveCount(20);
  await expect(blog.getByRole('link', { name: 'Storm at the harbour' })).toHaveAttribute('href', `${broker.url}/t/harbour`);
  await expect.poll(async () => (await told(page)).heard.at(-1)).toMatchObject({ what: 'state', state: 'live' });
  await broker.publish('harbour', { id: 'new', headline: 'The barrier holds' });
  await expect(blog.locator('#e-new')).toContainText('The barrier holds');
  await broker.revise('harbour', 'new', { headline: 'The barrier held' });
  await expect(blog.locator('#e-new')).toContainText('The barrier held');
  await broker.retract('harbour', 'e29', 'Not so.');
  await expect(blog.locator('#e-e29')).toContainText('Not so.');
  await blog.getByRole('button', { name: 'Load older updates' }).click();
  await expect(blog.locator('article')).toHaveCount(31);
  await broker.endTopic('harbour', { topic: 'harbour-2', title: 'The morning after' });
  await expect(blog.getByRole('link', { name: 'The morning after' }).first()).toHaveAttribute('href', `${broker.url}/t/harbour-2`);
  expect(await below.boundingBox()).toEqual(place);
  const { heard, refused, moved } = await told(page);
  expect(refused).toEqual([]);
  expect(moved).toEqual([]);
  expect(heard.map(({ what, id, from }) => [what, id ?? '', from].join(' '))).toEqual(expect.arrayContaining(
    ['ready  live-blog', 'insert new live-blog', 'update new live-blog', 'retract e29 live-blog', 'topic  live-blog'],
  ));
  expect(heard.find(({ what }) => what === 'ready').count).toBe(20);
});

test('a reader inside the blog is left where he reads', async ({ broker, foreign, page }) => {
  await broker.publishAll('harbour', Array.from({ length: 12 }, (_, index) => ({ id: `e${index}`, headline: `Number ${index}`, body: { text: 'Rain. '.repeat(60) } })));
  await page.goto(foreign.article('/story', tag(broker)));
  const blog = page.locator('live-blog');
  await expect(blog.locator('article')).toHaveCount(12);
  await blog.locator('#e-e5').evaluate((entry) => entry.scrollIntoView({ block: 'center' }));
  await page.waitForFunction(() => document.querySelector('live-blog')!.scrollTop > 100);
  const read = await blog.locator('#e-e5').boundingBox();
  await broker.publish('harbour', { id: 'new', headline: 'New' });
  const button = blog.getByRole('button', { name: '1 new update' });
  await expect(button).toBeVisible();
  await expect(blog.locator('#e-new')).toHaveCount(0);
  expect(await blog.locator('#e-e5').boundingBox()).toEqual(read);
  await button.click();
  await expect(blog.locator('#e-new')).toBeInViewport();
});

test('the server takes the fragment in: it is there without script, and goes live from its own position', async ({ broker, foreign, page, browser }) => {
  await broker.putTopic('harbour', { title: 'Storm at the harbour' });
  await broker.publishAll('harbour', ['One', 'Two']);
  const fragment = await (await fetch(`${broker.url}/t/harbour/fragment`)).text();
  const url = foreign.article('/story', `${fragment}<script async src="${broker.url}/embed.js"></script>`);
  const plain = await browser.newPage({ javaScriptEnabled: false });
  await plain.goto(url);
  await expect(plain.locator('live-blog article')).toHaveCount(2);
  const height = (await plain.locator('live-blog').boundingBox())!.height;
  const below = await plain.locator('#below').boundingBox();
  await plain.close();
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await watch(page);
  await page.goto(url);
  await expect.poll(async () => (await told(page)).heard.at(-1)).toMatchObject({ what: 'state', state: 'live' });
  expect((await told(page)).moved).toEqual([]);
  // What comes between the fragment and the page is not lost.
  await page.goto('about:blank');
  await broker.publish('harbour', { id: 'three', headline: 'Three' });
  await page.goto(url);
  await expect(page.locator('#e-three')).toContainText('Three');
  await expect(page.locator('article')).toHaveCount(3);
  expect((await page.locator('live-blog').boundingBox())!.height).toBe(height);
  expect(await page.locator('#below').boundingBox()).toEqual(below);
  expect(asked.filter((each) => each.includes('/t/harbour'))).toEqual([]);
  expect((await told(page)).moved).toEqual([]);
});

test('one entry: it is kept true, and nothing else comes', async ({ broker, foreign, page }) => {
  await broker.publishAll('harbour', [{ id: 'gate', headline: 'Gate 3 closes' }, { id: 'other', headline: 'Another' }]);
  const { html } = await broker.call('GET', `/oembed?url=${encodeURIComponent(`${broker.url}/t/harbour#e-gate`)}`);
  await watch(page);
  await page.goto(foreign.article('/story', html));
  const blog = page.locator('live-blog');
  await expect(blog.locator('article')).toContainText('Gate 3 closes');
  await expect.poll(async () => (await told(page)).heard.at(-1)).toMatchObject({ what: 'state', state: 'live' });
  const place = await page.locator('#below').boundingBox();
  await broker.publish('harbour', { id: 'later', headline: 'Later' });
  await broker.revise('harbour', 'gate', { headline: 'Gate 4 closes', correction: { note: 'It was gate 4.' } });
  await expect(blog.locator('article')).toContainText('It was gate 4.');
  await broker.retract('harbour', 'gate', 'No gate closed.');
  await expect(blog.locator('article')).toContainText('No gate closed.');
  await expect(blog).not.toContainText('Gate 4');
  await expect(blog.locator('article')).toHaveCount(1);
  expect(await page.locator('#below').boundingBox()).toEqual(place);
  expect((await told(page)).refused).toEqual([]);
});

test('a site that is not on the list keeps the link, and its page stays whole', async ({ foreign, page }) => {
  const stranger = await Broker.start('public_url = "{url}"');
  try {
    foreign.broker = stranger.url;
    await stranger.publish('harbour', { headline: 'Not for this page' });
    const { html } = await stranger.call('GET', `/oembed?url=${encodeURIComponent(`${stranger.url}/t/harbour`)}`);
    const faults: Error[] = [];
    page.on('pageerror', (fault) => faults.push(fault));
    await page.goto(foreign.article('/story', html));
    const link = page.locator('live-blog a');
    await expect(link).toHaveAttribute('href', `${stranger.url}/t/harbour`);
    await page.waitForLoadState('networkidle');
    await expect(page.locator('live-blog article')).toHaveCount(0);
    await expect(link).toBeVisible();
    expect(faults.filter(({ name }) => name !== 'TypeError')).toEqual([]);
  } finally {
    await stranger.stop();
  }
});

test('the newsroom gives its own words, in the language of the blog', async ({ broker, foreign, page }) => {
  await broker.putTopic('harbour', { title: 'Sturm am Hafen', language: 'de' });
  await broker.publishAll('harbour', Array.from({ length: 12 }, (_, index) => ({ id: `e${index}`, headline: `Nummer ${index}`, body: { text: 'Regen. '.repeat(60) } })));
  const words = {
    live: 'Läuft', over: 'Beendet', pause: 'Anhalten', oldestFirst: 'Älteste zuerst', by: 'Von ', and: ' und ', correction: 'Berichtigung', isKey: 'Wichtig',
    retracted: 'Diese Meldung wurde zurückgezogen.', newUpdates: { one: '{n} neue Meldung', other: '{n} neue Meldungen' }, live_: 'x', pauses: 1,
  };
  const warned: string[] = [];
  page.on('console', (message) => message.type() === 'warning' && warned.push(message.text()));
  await watch(page);
  await page.goto(foreign.article('/story', `<script type="application/json" data-live="words">${JSON.stringify(words)}</script>${tag(broker)}`));
  const blog = page.locator('live-blog');
  await expect(blog.locator('[part~=connection]')).toHaveText('Läuft');
  await expect(blog.getByRole('button', { name: 'Anhalten' })).toBeVisible();
  await blog.locator('#e-e5').evaluate((entry) => entry.scrollIntoView({ block: 'center' }));
  await broker.publish('harbour', { id: 'one', headline: 'Eins', key_event: true, authors: [{ name: 'Ada Lee' }, { name: 'Jan Vos' }] });
  await expect(blog.locator('[part=updates]')).toHaveText('1 neue Meldung');
  await broker.publish('harbour', { headline: 'Zwei' });
  await expect(blog.locator('[part=updates]')).toHaveText('2 neue Meldungen');
  await blog.locator('[part=updates]').click();
  await broker.revise('harbour', 'one', { correction: { note: 'Es war Tor 4.' } });
  await expect(blog.locator('#e-one .byline')).toHaveText('Von Ada Lee und Jan Vos');
  await expect(blog.locator('#e-one .correction')).toHaveText('Berichtigung Es war Tor 4.');
  await expect(blog.locator('#e-one .badges')).toHaveText('Wichtig');
  await broker.retract('harbour', 'one');
  await expect(blog.locator('#e-one')).toContainText('Diese Meldung wurde zurückgezogen.');
  await broker.endTopic('harbour');
  await expect(blog.locator('[part~=connection]')).toHaveText('Beendet');
  expect(warned.filter((text) => text.includes('live_, pauses'))).toHaveLength(1);
  expect((await told(page)).refused).toEqual([]);
});

test('what is embedded is accessible, and takes no rule out of the page around it', async ({ broker, foreign, page }) => {
  await broker.putTopic('harbour', { title: 'Storm at the harbour', key_points: ['The barrier holds'], summary: 'A long night.' });
  await broker.publishAll('harbour', [{ headline: 'One', key_event: true, authors: [{ name: 'Ada Lee' }] }, { body: { text: 'Two' } }]);
  await page.goto(foreign.article('/story', `<p id="probe" class="entry lede status body">Mine</p>${tag(broker, 'data-theme="light"')}`));
  await expect(page.locator('live-blog article')).toHaveCount(2);
  const style = await page.locator('#probe').evaluate((probe) => {
    const { display, position, fontFamily, color } = getComputedStyle(probe);
    const own = getComputedStyle(document.querySelector('#above')!);
    return [[display, own.display], [position, own.position], [fontFamily, own.fontFamily], [color, own.color]];
  });
  for (const [is, own] of style) expect(is).toBe(own);
  const { violations } = await new AxeBuilder({ page }).include('live-blog').withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']).analyze();
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
});
