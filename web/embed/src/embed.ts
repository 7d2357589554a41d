/**
 * What a page elsewhere names by one script tag: makes room for the blog at once, so that nothing moves later, and loads
 * the element. Works under a policy without inline script and style: sizes go by the object model, the rest by files.
 */
const script = document.currentScript as HTMLScriptElement;
const base = script.src.replace(/\/embed\.js([?#].*)?$/, '');
/** Attributes of the script tag that become attributes of the element. */
const ATTRIBUTES = ['topic', 'entry', 'height', 'width', 'theme', 'lang'];

/** Gives an element the size that its attributes say, in CSS pixels; `height="auto"` grows with what is in it. */
function makeRoom(element: HTMLElement): void {
  for (const name of ['height', 'width']) {
    const size = element.getAttribute(name);
    if (/^\d+$/.test(size!)) element.style.setProperty(`--live-blog-${name}`, `${size}px`);
  }
  // Until the style sheet is here.
  const { style } = element;
  style.display = 'block';
  if (element.getAttribute('height') !== 'auto') {
    style.height = `var(--live-blog-height,${element.hasAttribute('entry') ? 400 : 600}px)`;
    style.overflow = 'auto';
  }
}

if (script.dataset['topic']) {
  const element = document.createElement('live-blog');
  element.setAttribute('src', base);
  for (const name of ATTRIBUTES) {
    const value = script.dataset[name];
    if (value) element.setAttribute(name, value);
  }
  script.before(element);
}
for (const element of document.querySelectorAll<HTMLElement>('live-blog')) makeRoom(element);

const sheet = `${base}/assets/live-blog-embed.css`;
if (!document.querySelector(`link[href^="${CSS.escape(sheet)}"]`)) {
  const link = document.createElement('link');
  link.rel = 'stylesheet';
  link.href = `${sheet}?v=CSS_VERSION`;
  document.head.append(link);
}
const load = (): unknown => import(`${base}/assets/live-blog-embed.js?v=JS_VERSION`);
load();
