/** What is made of the desk: one script and one style sheet, which the binary embeds. An editor's phone loads them. */
export const bundles = [
  { file: 'desk.js', entry: 'src/desk.ts', format: 'iife', gzippedBytesMax: 32 * 1024 },
  { file: 'desk.css', entry: 'css/desk.css', gzippedBytesMax: 8 * 1024 },
];
