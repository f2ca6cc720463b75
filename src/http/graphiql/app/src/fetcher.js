import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { createClient } from 'graphql-ws';
import { isSendable } from './token.js';

/** What the gateway's answers say about the token. */
export const Status = {
  checking: 'checking',
  signedIn: 'signedIn',
  /** It answers without a token. */
  open: 'open',
  refused: 'refused',
  unreachable: 'unreachable',
};

const ACCEPT = 'application/graphql-response+json, application/json;q=0.9';

/** Below the page's own address, so that a path prefix in front of the gateway is kept. */
const url = new URL('../graphql', document.baseURI).href;

/** The same, for subscriptions: `ws` for `http`, `wss` for `https`. */
const socketUrl = url.replace(/^http/, 'ws');

function isJson(response) {
  return /[/+]json\b/.test(response.headers.get('content-type') ?? '');
}

/**
 * A fetcher for GraphiQL that sends `token` and tells `onStatus` how the gateway took it. Its
 * method `close` ends the subscriptions that it has begun.
 */
export function createFetcher(token, onStatus) {
  const headers = token && isSendable(token) ? { authorization: `Bearer ${token}` } : {};

  async function send(input, init) {
    let response;
    try {
      response = await fetch(input, init);
    } catch {
      onStatus(Status.unreachable);
      throw new Error('The gateway cannot be reached.');
    }
    if (response.status === 401) onStatus(Status.refused);
    else if (response.status >= 500 || !isJson(response)) onStatus(Status.unreachable);
    else onStatus(token ? Status.signedIn : Status.open);
    if (!isJson(response)) {
      throw new Error(`The answer is not JSON (status ${response.status}).`);
    }
    return response;
  }

  // GraphiQL sends a simpler introspection query when the first has no data, which would only
  // repeat a 401; an error ends the attempt.
  async function sendIntrospection(params, options) {
    const response = await send(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: ACCEPT, ...headers, ...options?.headers },
      body: JSON.stringify(params),
    });
    if (response.status === 401) throw new Error('The gateway asks for an API token.');
    return response.json();
  }

  // It connects when there is something to subscribe to, and not before.
  const wsClient = createClient({
    url: socketUrl,
    connectionParams: headers,
  });

  const fetcher = createGraphiQLFetcher({
    url,
    headers,
    wsClient,
    fetch: send,
    schemaFetcher: sendIntrospection,
    // The gateway has no @defer and @stream; without them the plain fetcher asks for
    // application/graphql-response+json.
    enableIncrementalDelivery: false,
  });
  fetcher.close = () => {
    wsClient.dispose();
  };
  return fetcher;
}
