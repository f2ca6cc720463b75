// node graphiql.mjs BASE TOKEN [CONTROL]
//
// Drives the GraphiQL page of a running gateway in headless Chromium. BASE is where the gateway
// answers (http://127.0.0.1:8000, or with a path prefix), TOKEN an API token it accepts. CONTROL is
// where the control silo answers, if the gateway is a region; what the page is to hear of is then
// changed there. Prints a line per check and stops with status 1 at the first that fails. CHROMIUM
// names another browser than /usr/bin/chromium.

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { examples } from '../../src/http/graphiql/app/src/examples.js';

const TIMEOUT = 20_000;
const [base, token, control] = process.argv.slice(2);
if (!base || !token) {
  console.error('usage: node graphiql.mjs BASE TOKEN [CONTROL]');
  process.exit(2);
}
const root = base.replace(/\/+$/, '');
const { origin } = new URL(root);
const endpoint = `${root}/graphql`;

/** What no page may ever do: each entry is a sentence, reported at the next check. */
const faults = [];
let page = null;

async function check(name, body) {
  try {
    await body();
    if (faults.length > 0) throw new Error(faults.join('\n'));
  } catch (error) {
    throw new Error(`${name}: ${error.message}`, { cause: error });
  }
  console.log(`ok - ${name}`);
}

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

/** Waits until `read` gives something `accept` accepts; the last reading goes into the message. */
async function eventually(what, read, accept) {
  const end = Date.now() + TIMEOUT;
  let last;
  do {
    last = await read();
    if (accept(last)) return last;
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  } while (Date.now() < end);
  throw new Error(`${what}; last seen: ${JSON.stringify(last)}`);
}

/** A page with storage of its own, watched from its first request on. */
async function open(browser, address) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(TIMEOUT);
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== origin) {
      faults.push(`a request to another origin: ${url}`);
    }
    if (url.href.includes(token)) faults.push(`the token is in the address of a request: ${url}`);
  });
  context.on('response', (response) => {
    if (response.status() >= 400 && response.url() !== endpoint) {
      faults.push(`${response.status()} for ${response.url()}`);
    }
  });
  await context.exposeFunction('reportViolation', (text) => faults.push(`content security policy: ${text}`));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
      globalThis.reportViolation(`${event.violatedDirective} refused ${event.blockedURI || 'inline code'}`),
    );
  });
  page = await context.newPage();
  page.on('pageerror', (error) => faults.push(`uncaught in the page: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() !== 'error') return;
    // The browser notes each 4xx; those of the endpoint are the answers some checks provoke.
    if (message.text().startsWith('Failed to load resource') && message.location().url === endpoint) return;
    faults.push(`console error: ${message.text()}`);
  });
  const response = await page.goto(address);
  expect(response.ok(), `${address} answered ${response.status()}`);
  const policy = response.headers()['content-security-policy'] ?? '';
  expect(policy.includes("script-src 'self'"), `the page has no strict content security policy: "${policy}"`);
}

const state = (text) => page.getByRole('status').filter({ hasText: text }).waitFor();
const hint = (text) => page.locator('#token-hint').filter({ hasText: text }).waitFor();

/** The text of a Monaco editor, whose blanks are no-break spaces. */
async function editorText(selector) {
  const lines = await page.locator(`${selector} .view-line`).allInnerTexts();
  return lines.join('\n').replaceAll('\u00a0', ' ');
}

const answer = () => editorText('.result-window');

async function type(text) {
  await page.locator('.graphiql-query-editor .view-lines').first().click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.press('Delete');
  await page.keyboard.insertText(text);
}

/** Runs the operation in the editor once GraphiQL has read its name, which it does with a delay. */
async function run(name) {
  await page.locator('.graphiql-tab-active').filter({ hasText: name }).waitFor();
  await page.keyboard.press('ControlOrMeta+Enter');
}

/** Changes the name of user 2, past the page. */
async function rename(name) {
  const response = await fetch(control ? `${control}/graphql` : endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({
      query: 'mutation ($name: String!) { updateUser(input: { userId: 2, name: $name }) { errors { code } } }',
      variables: { name },
    }),
    signal: AbortSignal.timeout(TIMEOUT),
  });
  const { data } = await response.json();
  expect(data?.updateUser.errors.length === 0, `user 2 cannot be renamed: ${response.status}`);
}

async function newTab() {
  const tabs = page.locator('.graphiql-tab');
  const before = await tabs.count();
  await page.getByRole('button', { name: 'New tab' }).click();
  await tabs.nth(before).waitFor();
}

async function checks(browser) {
  await check('an absent token shows how to get one', async () => {
    await open(browser, `${root}/graphiql`);
    await hint('Enter an API token: user-gateway token create --user ID');
    await state('Not signed in');
    await page.context().close();
  });

  await check('a wrong token is refused with the same hint', async () => {
    await open(browser, `${root}/graphiql#token=wrong`);
    await hint('This token is not accepted. Enter an API token');
    await state('Not signed in');
  });

  await check('a token typed into the field signs in', async () => {
    await page.getByLabel('API token').fill(token);
    await page.keyboard.press('Enter');
    await state('Signed in');
    await eventually('the hint stays', () => page.locator('#token-hint').innerText(), (text) => text.trim() === '');
    await page.context().close();
  });

  await check('#token= signs in', async () => {
    await open(browser, `${root}/graphiql#token=${encodeURIComponent(token)}`);
    await state('Signed in');
    expect((await page.title()) === 'user-gateway', `the title is "${await page.title()}"`);
  });

  await check('the token leaves the address and is not kept beyond the session', async () => {
    const address = await page.evaluate(() => location.href);
    expect(address === `${root}/graphiql/`, `the address is ${address}`);
    const local = await page.evaluate(() => JSON.stringify(localStorage));
    expect(!local.includes(token), 'the token is in localStorage');
    await page.reload();
    await state('Signed in');
  });

  await check('the tabs hold the example operations', async () => {
    const titles = await page.locator('.graphiql-tab-button').allInnerTexts();
    const names = examples.map((example) => example.name);
    expect(JSON.stringify(titles) === JSON.stringify(names), `the tabs are ${titles}, not ${names}`);
  });

  await check('every example is valid against the schema that is served', async () => {
    for (const { name, query, variables } of examples) {
      // The whole document is validated, and nothing of it executed.
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({
          query: `${query}\nquery NothingElse { __typename }`,
          operationName: 'NothingElse',
          variables,
        }),
        signal: AbortSignal.timeout(TIMEOUT),
      });
      const { data, errors } = await response.json();
      expect(data?.__typename && !errors, `${name}: ${JSON.stringify(errors)}`);
    }
  });

  await check('the first example runs from its button', async () => {
    await page.getByRole('button', { name: /^Execute query/ }).click();
    const text = await eventually('no answer', answer, (text) => /"(data|errors)"/.test(text));
    expect(!text.includes('"errors"'), `the answer has errors:\n${text}`);
  });

  await check('a query typed into the editor runs and its answer shows', async () => {
    await newTab();
    await type('query Answer { viewer { answer: __typename } }');
    await run('Answer');
    await eventually('no answer', answer, (text) => text.includes('"answer": "Viewer"'));
  });

  await check('a change made by another client shows up in a subscription', async () => {
    await newTab();
    await type('subscription Change { userChanged(id: 2) { id displayName } }');
    await run('Change');
    // Nothing says when it has begun, so the change is made until it is heard of.
    let n = 0;
    const heard = async () => {
      n += 1;
      await rename(`Renamed ${n}`);
      return answer();
    };
    await eventually('no event', heard, (text) => text.includes('"displayName": "Renamed'));
    await rename('Renamed at last');
    await eventually('no other event', answer, (text) => text.includes('"displayName": "Renamed at last"'));
    await page.getByRole('button', { name: /^Stop query/ }).click();
    await page.getByRole('button', { name: /^Execute query/ }).waitFor();
  });

  await check('a field name is completed', async () => {
    await type('query Completion { existingUse');
    await page.keyboard.press('Control+Space');
    await page.locator('.suggest-widget .monaco-list-row').filter({ hasText: 'existingUsernames' }).first().waitFor();
    await page.keyboard.press('Escape');
  });

  await check('an invalid query is marked in the editor and answered with an error', async () => {
    await type('query Invalid { noSuchField }');
    await page.locator('.graphiql-query-editor .squiggly-error').first().waitFor();
    await run('Invalid');
    await eventually('no error', answer, (text) => text.includes('"errors"') && text.includes('noSuchField'));
  });

  await check('the docs describe the field users', async () => {
    await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
    const docs = page.locator('.graphiql-doc-explorer');
    await docs.getByRole('link', { name: 'Query', exact: true }).click();
    await docs.getByRole('link', { name: 'users', exact: true }).click();
    await docs.locator('.graphiql-doc-explorer-title').filter({ hasText: 'users' }).waitFor();
    await docs.getByRole('link', { name: 'UserConnection', exact: true }).waitFor();
    const description = await docs.locator('.graphiql-markdown-description').first().innerText();
    expect(description.trim() !== '', 'the field has no description');
  });

  await check('the explorer offers the fields of the schema', async () => {
    await page.getByRole('button', { name: 'Show GraphiQL Explorer' }).click();
    await page.locator('.docExplorerWrap, .graphiql-plugin').getByText('existingUsernames').first().waitFor();
  });

  await check('signing out forgets the token', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click();
    await hint('Enter an API token');
    const stored = await page.evaluate(() => JSON.stringify(sessionStorage));
    expect(!stored.includes(token), 'the token is still in sessionStorage');
    await page.context().close();
  });
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
try {
  await checks(browser);
} catch (error) {
  console.error(`not ok - ${error.message}`);
  const file = join(tmpdir(), `user-gateway-graphiql-${process.pid}.png`);
  const saved = await page?.screenshot({ path: file }).then(() => true, () => false);
  if (saved) console.error(`screenshot: ${file}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
