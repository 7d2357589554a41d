/** The desk in a browser, as an editor has it: by labels and roles, as a screen reader would find them. */
import type { Browser, Locator, Page } from '@playwright/test';
import { expect } from '@playwright/test';

export class Desk {
  constructor(
    readonly page: Page,
    /** `http://host:port` of the broker, or of what stands in front of it. */
    readonly url: string,
  ) {}

  /** Opens the desk and signs in; `topic` is opened as well. */
  static async open(page: Page, url: string, key: string, topic?: string, name = 'Ada Lee'): Promise<Desk> {
    const desk = new Desk(page, url);
    await page.goto(`${url}/desk`);
    await desk.signIn(key, name);
    if (topic !== undefined) await desk.goTo(topic);
    return desk;
  }

  async signIn(key: string, name = 'Ada Lee', remember = false): Promise<void> {
    await this.page.getByLabel('Your name').fill(name);
    await this.page.getByLabel('Key', { exact: true }).fill(key);
    if (remember) await this.page.getByLabel('Remember the key').check();
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    await expect(this.page.getByRole('button', { name: 'Sign out' })).toBeVisible();
  }

  /** Opens a topic, and waits until the desk follows it. */
  async goTo(topic: string): Promise<void> {
    await this.page.evaluate((topic) => (location.hash = `#/${topic}`), topic);
    await this.isLive();
  }

  async isLive(): Promise<void> {
    await expect(this.page.locator('.connection')).toHaveText('Up to date', { timeout: 40_000 });
  }

  get headline(): Locator {
    return this.page.locator('.composer').getByLabel('Headline');
  }

  get text(): Locator {
    return this.page.locator('.composer').getByLabel(/^Text \(/);
  }

  get preview(): Locator {
    return this.page.getByRole('region', { name: 'Preview' });
  }

  /** What became of the last writes, the newest first. */
  get sent(): Locator {
    return this.page.locator('.sent');
  }

  /** The card of an entry, by words that are on it. */
  card(words: string): Locator {
    return this.page.locator('.entries .card', { hasText: words });
  }

  /** Takes an entry into the composer, and waits until it is there. */
  async edit(words: string): Promise<void> {
    await this.card(words).getByRole('button', { name: /^Edit/ }).click();
    await expect(this.page.getByRole('heading', { name: 'Revise the entry' })).toBeVisible();
  }

  /** Opens a part of the form that is folded. */
  async unfold(name: string): Promise<void> {
    const fold = this.page.locator('.composer details', { has: this.page.locator('summary', { hasText: name }) });
    if ((await fold.getAttribute('open')) === null) await fold.locator('summary').click();
  }

  async write(headline: string, text = ''): Promise<void> {
    await this.headline.fill(headline);
    if (text) await this.text.fill(text);
  }

  /** Writes an entry, publishes it, and waits until it is durable. */
  async publish(headline: string, text = ''): Promise<void> {
    await this.write(headline, text);
    await this.page.keyboard.press('ControlOrMeta+Enter');
    await expect(this.sent.filter({ hasText: headline }).first()).toContainText('Durable');
  }
}

/** A second editor's browser, which shares nothing with the first. */
export async function anotherPage(browser: Browser): Promise<Page> {
  return (await browser.newContext()).newPage();
}
