/** What the broker's own pages load: defines `<live-blog>`, and makes the times of every page local. */
import { LiveBlog } from './live-blog.js';
import { localiseAll } from './times.js';

const start = (): void => localiseAll(document);
if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start, { once: true });
else start();

if (!customElements.get('live-blog')) customElements.define('live-blog', LiveBlog);
