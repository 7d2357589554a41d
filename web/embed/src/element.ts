/** `<live-blog>` for a page elsewhere: the same element, and nothing that touches the rest of the page. */
import { LiveBlog } from '../../element/src/live-blog.js';

if (!customElements.get('live-blog')) customElements.define('live-blog', LiveBlog);
