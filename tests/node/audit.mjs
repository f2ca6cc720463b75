// node audit.mjs URL TOKEN
//
// Runs the GraphQL over HTTP audits of graphql-http against a running gateway, sending the token
// with each request. Every audit must pass, recommendations too.

import { serverAudits } from 'graphql-http';

const TIMEOUT = 30_000;
const [url, token] = process.argv.slice(2);
if (!url || !token) {
  console.error('usage: node audit.mjs URL TOKEN');
  process.exit(2);
}

function fetchFn(input, init = {}) {
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${token}`);
  return fetch(input, { ...init, headers, signal: AbortSignal.timeout(TIMEOUT) });
}

const audits = serverAudits({ url, fetchFn });
let ok = 0;
for (const { id, name, fn } of audits) {
  let result;
  try {
    result = await fn();
  } catch (error) {
    // No answer at all, a broken connection, say.
    result = { status: 'fatal', reason: error.cause?.message ?? error.message };
  }
  if (result.status === 'ok') {
    ok += 1;
  } else {
    const status = result.response ? ` (answered ${result.response.status})` : '';
    console.log(`${result.status} - ${id} ${name}: ${result.reason}${status}`);
  }
}
console.log(`${ok} of ${audits.length} audits ok`);
// Without a single audit nothing would be proven.
process.exitCode = ok === audits.length && ok > 0 ? 0 : 1;
