/** What is made of the client library. 6 KB gzipped is a promise to whoever loads it. */
const LIMIT = 6 * 1024;

export const bundles = [
  { file: 'tenbells.js', entry: 'src/tenbells.ts', format: 'esm', gzippedBytesMax: LIMIT },
  { file: 'tenbells.iife.js', entry: 'src/tenbells.ts', format: 'iife', globalName: 'Tenbells', gzippedBytesMax: LIMIT },
];
export const declarations = [{ file: 'tenbells.d.ts', entry: 'src/tenbells.ts' }];
