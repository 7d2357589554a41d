/** Playwright's `test` with a broker of its own for each test: `test('…', async ({ broker, page }) => …)`. */
import { test as base } from '@playwright/test';
import { Broker } from './broker.js';
import { Middlebox } from './middlebox.js';

export { expect } from '@playwright/test';

interface Fixtures {
  /** Text of the broker's configuration file; `test.use({ config: '…' })` sets it. */
  config: string;
  broker: Broker;
  /** A newsroom's site in front of the broker, which can get in the way. */
  newsroom: Middlebox;
}

export const test = base.extend<Fixtures>({
  config: ['', { option: true }],
  broker: async ({ config }, use, info) => {
    const broker = await Broker.start(config);
    await use(broker);
    if (info.status !== info.expectedStatus) await info.attach('broker.log', { body: broker.log() });
    await broker.stop();
  },
  newsroom: async ({ broker }, use) => {
    const newsroom = await Middlebox.start(broker);
    await use(newsroom);
    await newsroom.goDown();
  },
});
