/** What pages of the broker load, which the binary carries. The page's whole first load is bounded by a test. */
export const bundles = [
  { file: 'live-blog.js', entry: 'src/page.ts', format: 'iife', gzippedBytesMax: 20 * 1024 },
  { file: 'live-blog.css', entry: 'style/page.css', gzippedBytesMax: 8 * 1024 },
];
