#!/bin/sh
# Builds the page into ../dist, each file compressed with brotli. The same sources and lock file
# give the same bytes.
set -eu
cd "$(dirname "$0")"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# graphiql-explorer names older peers than it works with, which npm would warn about at length.
npm ci --ignore-scripts --no-audit --no-fund --loglevel error
npx --no-install vite build --outDir "$out" --emptyOutDir --logLevel warn
node compress.js "$out" ../dist
