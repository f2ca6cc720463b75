import { explorerPlugin } from '@graphiql/plugin-explorer';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { examples } from './examples.js';
import { createFetcher, Status } from './fetcher.js';
import { TokenBar } from './token-bar.jsx';
import { initialToken, storeToken, takeTokenFromAddress } from './token.js';

const plugins = [HISTORY_PLUGIN, explorerPlugin()];

const tabs = examples.map(({ query, variables }) => ({
  query,
  variables: Object.keys(variables).length > 0 ? JSON.stringify(variables, null, 2) : '',
}));

// GraphiQL ignores the variables of the first default tab, and would add another tab if the initial
// query were given again to a visitor whose tabs it has stored.
function initialEditors() {
  try {
    if (localStorage.getItem('graphiql:tabState') !== null) return {};
  } catch {
    // Without storage every visit is the first.
  }
  return { initialQuery: tabs[0].query, initialVariables: tabs[0].variables };
}

export function App() {
  // An object, so that entering the same token again asks the gateway again.
  const [session, setSession] = useState(() => ({ token: initialToken() }));
  const [seen, setSeen] = useState({ session: null, status: Status.checking });
  const [initial] = useState(initialEditors);

  const signIn = useCallback((token) => {
    storeToken(token);
    setSession({ token });
  }, []);

  useEffect(() => {
    function follow() {
      const token = takeTokenFromAddress();
      if (token !== null) signIn(token);
    }
    window.addEventListener('hashchange', follow);
    return () => window.removeEventListener('hashchange', follow);
  }, [signIn]);

  const fetcher = useMemo(
    () => createFetcher(session.token, (status) => setSeen({ session, status })),
    [session],
  );

  // Who signs out or in as somebody else is told nothing more that is not for them.
  useEffect(() => fetcher.close, [fetcher]);

  // An answer to a request sent with the token before says nothing about this one.
  const status = seen.session === session ? seen.status : Status.checking;

  return (
    <>
      <TokenBar token={session.token} status={status} onToken={signIn} />
      <main>
        <GraphiQL
          fetcher={fetcher}
          plugins={plugins}
          defaultTabs={tabs}
          {...initial}
          defaultEditorToolsVisibility="variables"
          shouldPersistHeaders={false}
          inputValueDeprecation
          schemaDescription
        >
          {/* The bar above names the product; the space is better spent on tabs. */}
          <GraphiQL.Logo>
            <span />
          </GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  );
}
