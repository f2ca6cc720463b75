// Gathers the licence texts of every package that ends up in the bundle, so that the page
// carries them wherever it is distributed.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const TEXT = /^(licen[cs]e|copying|notice|thirdpartynotices)([.-].*)?$/i;

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

// What packages carry within themselves without a licence text of its own.
const EMBEDDED = `Embedded in these packages
--------------------------

- Roboto (font, in graphiql): Copyright 2011 Google Inc. Licensed under the Apache License 2.0, whose
  text is under react-aria.
- Fira Code (font, in graphiql): licensed under the SIL Open Font License 1.1, whose text is below.
- Codicons (icon font, in monaco-editor): Copyright (c) Microsoft Corporation and other contributors.
  Licensed under CC BY 4.0, https://creativecommons.org/licenses/by/4.0/.
- DOMPurify (in monaco-editor): (c) Cure53 and other contributors. Released under the Apache License
  2.0, whose text is under react-aria, and the Mozilla Public License 2.0.

`;

/** The font's licence; the package is installed for this text alone. */
function fontLicense() {
  return readFileSync(new URL('./node_modules/@fontsource/fira-code/LICENSE', import.meta.url), 'utf8').trim();
}

/** The folder of the package a module belongs to, or null for our own modules. */
function packageFolder(moduleId) {
  const file = moduleId.replace(/^\0+/, '').split('?')[0];
  if (!file.includes('/node_modules/')) return null;
  for (let folder = dirname(file); folder.includes('/node_modules/'); folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    // A manifest without a version only sets the module type of a folder inside a package.
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version) return folder;
  }
  return null;
}

function person(value) {
  return typeof value === 'string' ? value : value?.name;
}

function section(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const texts = readdirSync(folder)
    .filter((name) => TEXT.test(name))
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim());
  if (texts.length === 0) {
    if (manifest.license !== 'MIT') {
      throw new Error(`${manifest.name} has no licence text (${manifest.license})`);
    }
    const owner = person(manifest.author) ?? person(manifest.contributors?.[0]) ?? `the ${manifest.name} authors`;
    texts.push(`MIT License\n\nCopyright (c) ${owner}\n\n${MIT}`);
  }
  const title = `${manifest.name} ${manifest.version} (${manifest.license ?? 'see below'})`;
  return `${title}\n${'-'.repeat(title.length)}\n\n${texts.join('\n\n')}\n`;
}

export function collectLicenses() {
  const folders = new Set();
  function remember(context) {
    for (const id of context.getModuleIds()) {
      const folder = packageFolder(id);
      if (folder) folders.add(folder);
    }
  }
  return {
    worker: () => ({
      name: 'licenses-of-worker',
      generateBundle() {
        remember(this);
      },
    }),
    page: () => ({
      name: 'licenses-of-page',
      generateBundle() {
        remember(this);
        // Two copies of one version give the same section: a set keeps one.
        const sections = [...new Set([...folders].map(section))].sort();
        this.emitFile({
          type: 'asset',
          fileName: 'THIRD-PARTY-LICENSES.txt',
          source: `The GraphiQL page of user-gateway contains these packages.\n\n${sections.join('\n\n')}\n\n${EMBEDDED}${fontLicense()}\n`,
        });
      },
    }),
  };
}
