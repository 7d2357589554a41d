/** What is made of the client library. 6 KB gzipped is a promise to whoever loads it. */
const LIMIT = 6 * 1024;

/** Names between the library's own files: of nothing that is on the wire, in an option or in an event. */
const internal = [
  'awayCount', 'gaps', 'hasEnded', 'heard', 'isAsking', 'isPending', 'refused', 'wanted',
];

export const bundles = [
  { file: 'tenbells.js', entry: 'src/tenbells.ts', format: 'esm', gzippedBytesMax: LIMIT, internal },
  { file: 'tenbells.iife.js', entry: 'src/global.ts', format: 'iife', gzippedBytesMax: LIMIT, internal },
];
export const declarations = [{ file: 'tenbells.d.ts', entry: 'src/tenbells.ts' }];
