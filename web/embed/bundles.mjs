/** What a page elsewhere loads: a script that makes room at once, and behind it the element and its style sheet. */
export const bundles = [
  { file: 'embed.js', entry: 'src/embed.ts', format: 'iife', gzippedBytesMax: 1024 },
  { file: 'live-blog-embed.js', entry: 'src/element.ts', format: 'esm', gzippedBytesMax: 20 * 1024 },
  { file: 'live-blog-embed.css', entry: 'style/embed.css', gzippedBytesMax: 8 * 1024 },
];
