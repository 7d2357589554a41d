/** A page with the client library, and a record of everything that it tells. */
import type { Page } from '@playwright/test';
import { expect } from '@playwright/test';


/** Opens a page of the newsroom that follows a blog with these options. */
export async function follow(page: Page, newsroom: string, options: object): Promise<Reader> {
  await page.goto(`${newsroom}/newsroom`);
  await page.evaluate(async (options: any) => {
    const room = globalThis as any;
    room.events = [];
    const { ticketFrom, ...rest } = options;
    if (ticketFrom) rest.ticket = async () => (await fetch(ticketFrom, { method: 'POST' })).text();
    room.live = room.Tenbells.connect(rest);
    for (const type of ['change', 'reset', 'state', 'presence', 'error', 'away']) {
      room.live.on(type, (detail: any) => room.events.push([type, detail]));
    }
  }, options);
  return new Reader(page);
}

/** Such a page, seen from the test. */
export class Reader {
  constructor(readonly page: Page) {}

  /** Details of all events of a type. */
  events(type: string): Promise<any[]> {
    return this.page.evaluate(
      (type) => (globalThis as any).events.filter(([each]: [string]) => each === type).map(([, detail]: [string, any]) => detail),
      type,
    );
  }

  /** Offsets of the changes that it was given, in the order in which it was given them. */
  async offsets(topic?: string): Promise<number[]> {
    const changes = await this.events('change');
    return changes.filter((change) => topic === undefined || change.topic === topic).map(({ offset }) => offset);
  }

  state(): Promise<string> {
    return this.page.evaluate(() => (globalThis as any).live.state);
  }

  transport(): Promise<string | undefined> {
    return this.page.evaluate(() => (globalThis as any).live.transport);
  }

  position(topic: string): Promise<string | undefined> {
    return this.page.evaluate((topic) => (globalThis as any).live.position(topic), topic);
  }

  async until(state: string): Promise<void> {
    await expect.poll(() => this.state(), { timeout: 40_000 }).toBe(state);
  }

  /** Waits until it has exactly the changes `from` to `to`, each once, in order. */
  async has(from: number, to: number, topic?: string): Promise<void> {
    const all = Array.from({ length: to - from + 1 }, (_, index) => from + index);
    await expect.poll(() => this.offsets(topic), { timeout: 40_000 }).toEqual(all);
  }
}
