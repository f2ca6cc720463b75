// node audit.mjs URL TOKEN [http2]
//
// Runs the GraphQL over HTTP audits of graphql-http against a running gateway, sending the token
// with each request. Every audit must pass, recommendations too.

import http2 from 'node:http2';

import { serverAudits } from 'graphql-http';

const TIMEOUT = 30_000;
const [url, token, version] = process.argv.slice(2);
if (!url || !token) {
  console.error('usage: node audit.mjs URL TOKEN [http2]');
  process.exit(2);
}

function fetchFn(input, init = {}) {
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${token}`);
  if (version === 'http2') {
    return overHttp2(new URL(input), init, headers);
  }
  return fetch(input, { ...init, headers, signal: AbortSignal.timeout(TIMEOUT) });
}

// What `fetch` does over HTTP/1, over HTTP/2 without TLS.
function overHttp2(target, { method = 'GET', body }, headers) {
  return new Promise((resolve, reject) => {
    const session = http2.connect(target.origin);
    session.setTimeout(TIMEOUT, () => session.destroy(new Error('no answer')));
    session.on('error', reject);
    const stream = session.request({
      ':method': method,
      ':path': target.pathname + target.search,
      ...Object.fromEntries(headers),
    });
    let head;
    const chunks = [];
    stream.on('error', reject);
    stream.on('response', (received) => (head = received));
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => {
      session.close();
      const fields = Object.entries(head).filter(([name]) => !name.startsWith(':'));
      const content = chunks.length > 0 ? Buffer.concat(chunks) : null;
      resolve(new Response(content, { status: head[':status'], headers: new Headers(fields) }));
    });
    stream.end(body);
  });
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
