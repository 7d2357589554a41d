/** A newsroom's own site on another origin than the broker, with a strict policy of its own, and what moves on its pages. */
import { createServer, type Server } from 'node:http';
import type { Page } from '@playwright/test';

export class Foreign {
  /** Its pages by path. */
  readonly pages = new Map<string, string>();
  url = '';
  /** The broker that its policy allows. */
  broker = '';

  private constructor(private readonly server: Server) {}

  static async start(): Promise<Foreign> {
    const server = createServer();
    const foreign = new Foreign(server);
    server.on('request', (request, response) => {
      const body = foreign.pages.get(request.url ?? '');
      if (body === undefined) return void response.writeHead(404).end();
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': foreign.policy }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (typeof address === 'object' && address) foreign.url = `http://127.0.0.1:${address.port}`;
    return foreign;
  }

  /** What its policy allows: the broker by name, and nothing inline. */
  get policy(): string {
    const { broker } = this;
    return `default-src 'none'; script-src ${broker}; style-src ${broker}; connect-src ${broker} ${broker.replace('http', 'ws')}; ` +
      `img-src ${broker} data:; require-trusted-types-for 'script'; trusted-types tenbells`;
  }

  /** An article with a blog in its middle. */
  article(path: string, blog: string): string {
    this.pages.set(path, `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The Harbour Times</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"></head>
<body><h1>The Harbour Times</h1><p id="above">What the newsroom wrote above.</p>${blog}<p id="below">What it wrote below.</p></body></html>`);
    return this.url + path;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Records what the page hears of the blog, what its policy refuses, and whatever moves by itself. Before the page is opened. */
export async function watch(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const room = globalThis as any;
    room.heard = [];
    room.refused = [];
    room.moved = [];
    for (const what of ['ready', 'insert', 'update', 'retract', 'state', 'topic']) {
      document.addEventListener(`live-blog-${what}`, ({ detail, target }: any) =>
        room.heard.push({ what, id: detail.id, state: detail.state, count: detail.articles?.length, from: target.localName }));
    }
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      room.refused.push(`${violatedDirective} ${blockedURI}`));
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as any[]) {
        for (const { node } of entry.sources) if (!node?.closest?.('live-blog')) room.moved.push(node?.nodeName);
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
}

/** What was recorded; `moved` is what the page around the blog has. */
export function told(page: Page): Promise<{ heard: any[]; refused: string[]; moved: string[] }> {
  return page.evaluate(() => {
    const { heard, refused, moved } = globalThis as any;
    return { heard, refused, moved };
  });
}
