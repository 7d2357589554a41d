/**
 * How long from the desk's key stroke until the entry is painted in another browser. A measurement, not a test of a time:
 * TENBELLS_MEASURE says how many entries. Prints one line for docs/benchmarks.md.
 *
 * Both browsers run on this machine and take the time from its one clock. "Painted" is the second animation frame after
 * the entry is in the page: the first one has drawn it.
 */
import { chromium } from '@playwright/test';
import { expect, test } from '../support/browser.js';
import { Desk } from '../support/desk.js';

const ENTRIES = Number(process.env['TENBELLS_MEASURE'] ?? 0);
test.skip(ENTRIES === 0, 'TENBELLS_MEASURE says no number of entries');
test.setTimeout(600_000);

/** `10 / 20 / 30`: the middle, the 95th of a hundred, and the longest, in ms. */
function figures(values: number[]): string {
  const sorted = [...values].sort((left, right) => left - right);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
  return [at(0.5), at(0.95), sorted.at(-1)!].map((ms) => ms.toFixed(0)).join(' / ');
}

test('from the desk to paint', async ({ broker, page, launchOptions }) => {
  await broker.publish('harbour', { headline: 'Before' });
  const other = await chromium.launch(launchOptions);
  const reader = await other.newPage();
  await reader.goto(`${broker.url}/t/harbour`);
  await reader.evaluate(() => {
    const seen = ((globalThis as any).seen = new Map<string, number>());
    const look = (): void => {
      for (const node of document.querySelectorAll('h2, h3')) {
        const words = node.textContent ?? '';
        if (!/^Entry \d+$/.test(words) || seen.has(words)) continue;
        seen.set(words, NaN);
        requestAnimationFrame(() => requestAnimationFrame(() => seen.set(words, performance.timeOrigin + performance.now())));
      }
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  });
  const desk = await Desk.open(page, broker.url, broker.key, 'harbour');
  await expect.poll(async () => (await broker.topic('harbour')).readers).toBe(2);
  await page.evaluate(() => {
    addEventListener('keydown', (event) => {
      if (event.key === 'Enter') (globalThis as any).pressed = performance.timeOrigin + event.timeStamp;
    }, true);
    new MutationObserver(() => {
      if (/Durable/.test(document.querySelector('.sent')?.textContent ?? '')) (globalThis as any).durable ??= performance.timeOrigin + performance.now();
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  const painted: number[] = [];
  const durable: number[] = [];
  for (let n = 1; n <= ENTRIES; n++) {
    const words = `Entry ${n}`;
    await desk.write(words, 'The gauge at the old pier shows **4.2 m**, ten centimetres more than an hour ago.');
    await page.evaluate(() => delete (globalThis as any).durable);
    await desk.text.press('ControlOrMeta+Enter');
    await expect(desk.sent.first()).toContainText(words);
    await expect(desk.sent.first()).toContainText('Durable');
    const at = async () => reader.evaluate((words) => (globalThis as any).seen.get(words) ?? NaN, words);
    await expect.poll(at).toBeGreaterThan(0);
    const own = await page.evaluate(() => [(globalThis as any).pressed, (globalThis as any).durable]);
    painted.push((await at()) - own[0]);
    durable.push(own[1] - own[0]);
  }
  console.log(`| ${ENTRIES} | ${figures(durable)} ms | ${figures(painted)} ms |`);
  await other.close();
});
