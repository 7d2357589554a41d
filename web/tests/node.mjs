/** Runs the node tests: bundles every *.test.ts into a folder of its own, and gives them to node's test runner. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const found = readdirSync(join(ROOT, 'tests'), { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.test.ts'))
  .sort();
if (found.length === 0) throw new Error('there are no node tests');

const folder = mkdtempSync(join(tmpdir(), 'tenbells-tests-'));
try {
  await build({
    entryPoints: found.map((file) => join(ROOT, 'tests', file)),
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    outbase: join(ROOT, 'tests'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: 'inline',
    logLevel: 'warning',
    define: { REPOSITORY: JSON.stringify(fileURLToPath(new URL('../..', import.meta.url))) },
    alias: { tenbells: join(ROOT, 'client/src/tenbells.ts') },
  });
  const files = found.map((file) => join(folder, file.replace(/\.ts$/, '.mjs')));
  const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', '--test-reporter=spec', ...files], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
