// node compress.js FROM TO: every file below FROM becomes a .br file below TO, which is emptied first.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const [from, to] = process.argv.slice(2);
if (!from || !to) throw new Error('usage: node compress.js FROM TO');

rmSync(to, { recursive: true, force: true });

let plain = 0;
let packed = 0;
const files = readdirSync(from, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
for (const entry of files) {
  const path = join(entry.parentPath, entry.name);
  const content = readFileSync(path);
  const compressed = brotliCompressSync(content, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
    },
  });
  const target = join(to, `${relative(from, path)}.br`);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, compressed);
  plain += content.length;
  packed += compressed.length;
}
console.log(`${files.length} files, ${plain} bytes, ${packed} compressed`);
