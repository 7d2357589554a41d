/**
 * Makes the bundles of dist/ from the sources: what the binary embeds and what newsrooms load.
 *
 *   node build.mjs            writes them
 *   node build.mjs --check    fails where dist/ is not what the sources make
 *
 * Each part of web/ names its own bundles in PART/bundles.mjs. Prints the gzipped sizes, and fails over a bundle's limit.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const DIST = join(ROOT, 'dist');
const PARTS = ['client', 'element', 'embed', 'desk'];
/** What old readers may still have: from the spring of 2022 on. */
const TARGET = ['chrome100', 'firefox100', 'safari15.4'];

/**
 * `@import "scoped:FILE"`: the rules of a style sheet for what is in `<live-blog>` alone. Tokens are set on the element,
 * with no weight, in the colours that its attribute `theme` names or the reader's system has.
 */
const scoped = {
  name: 'scoped',
  setup(build) {
    build.onResolve({ filter: /^scoped:/ }, ({ path, resolveDir }) => ({
      path: join(resolveDir, path.slice('scoped:'.length)),
      namespace: 'scoped',
    }));
    build.onLoad({ filter: /./, namespace: 'scoped' }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (text.includes(':root')) return { contents: tokensOf(text), loader: 'css' };
      const frames = /@keyframes [^{]+\{(?:[^{}]|\{[^{}]*\})*\}/g;
      return { contents: `live-blog{${text.replace(frames, '')}}${text.match(frames)?.join('') ?? ''}`, loader: 'css' };
    });
  },
};

const isCheck = process.argv.includes('--check');
const made = new Map();
const limits = new Map();

for (const part of PARTS) {
  const list = join(ROOT, part, 'bundles.mjs');
  if (!existsSync(list)) continue;
  const { bundles, declarations = [] } = await import(list);
  for (const bundle of bundles) {
    made.set(bundle.file, await bundled(part, bundle));
    if (bundle.gzippedBytesMax) limits.set(bundle.file, bundle.gzippedBytesMax);
  }
  for (const declaration of declarations) made.set(declaration.file, await declared(part, declaration));
}

let failed = false;
for (const [file, bytes] of made) {
  const gzipped = gzipSync(bytes, { level: 9 }).length;
  const limit = limits.get(file);
  const over = limit !== undefined && gzipped > limit;
  console.log(
    `${file.padEnd(20)} ${String(bytes.length).padStart(7)} bytes, gzipped ${String(gzipped).padStart(6)}` +
      (limit === undefined ? '' : ` of ${limit}`) +
      (over ? '  TOO LARGE' : ''),
  );
  failed ||= over;
}
failed = (isCheck ? await differs() : await written()) || failed;
process.exit(failed ? 1 : 0);

/** One bundle of a part, as bytes. */
async function bundled(part, { entry, format, globalName, internal }) {
  const result = await build({
    entryPoints: [join(ROOT, part, entry)],
    bundle: true,
    write: false,
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    target: TARGET,
    plugins: [scoped],
    absWorkingDir: ROOT,
    logLevel: 'warning',
    ...(format ? { format } : {}),
    ...(globalName ? { globalName } : {}),
    // Property names that neither the wire nor a page ever sees.
    ...(internal ? { mangleProps: new RegExp(`^(${internal.join('|')})$`) } : {}),
    alias: { tenbells: join(ROOT, 'client/src/tenbells.ts') },
  });
  const bytes = Buffer.from(result.outputFiles[0].contents);
  return entry.endsWith('.css') ? bytes : smaller(bytes.toString(), format);
}

/** What esbuild leaves on the table: some three hundredths, which the limits are narrow enough to need. */
async function smaller(code, format) {
  const { code: less } = await minify(code, {
    ecma: 2022,
    module: format === 'esm',
    compress: { passes: 3, unsafe_arrows: true },
    mangle: { toplevel: true },
  });
  return Buffer.from(`${less}\n`);
}

/** The declarations of a part's public module in one file: they may name nothing that stands in another one. */
async function declared(part, { entry }) {
  const folder = join(tmpdir(), `tenbells-types-${process.pid}`);
  try {
    execFileSync(
      process.execPath,
      [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', join(ROOT, 'tsconfig.json'), '--noEmit', 'false',
        '--declaration', '--emitDeclarationOnly', '--rootDir', ROOT, '--outDir', folder],
      { stdio: 'inherit' },
    );
    const text = await readFile(join(folder, part, entry.replace(/\.ts$/, '.d.ts')), 'utf8');
    if (/\bfrom ['"]|\bimport\(/.test(text)) throw new Error(`${part}/${entry}: the declarations need another file`);
    return Buffer.from(text);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function tokensOf(text) {
  const [light, dark] = [...text.matchAll(/:root \{([^}]*)\}/g)].map(([, tokens]) => tokens);
  if (!dark) throw new Error('tokens.css: light and dark were looked for');
  return `:where(live-blog){${light}}
    @media (prefers-color-scheme:dark){:where(live-blog:not([theme="light"])){${dark}}}
    :where(live-blog[theme="light"]){color-scheme:light}
    :where(live-blog[theme="dark"]){${dark}color-scheme:dark}`;
}

async function written() {
  await mkdir(DIST, { recursive: true });
  for (const [file, bytes] of made) await writeFile(join(DIST, basename(file)), bytes);
  return false;
}

/** Whether dist/ has something else than what the sources make. */
async function differs() {
  const there = existsSync(DIST) ? await readdir(DIST) : [];
  const wrong = there.filter((file) => !made.has(file));
  for (const [file, bytes] of made) {
    if (!there.includes(file) || !bytes.equals(await readFile(join(DIST, file)))) wrong.push(file);
  }
  for (const file of wrong) console.error(`dist/${file} is not what the sources make: run node build.mjs`);
  return wrong.length > 0;
}
