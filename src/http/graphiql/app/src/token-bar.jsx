import { useEffect, useRef, useState } from 'react';
import { Status } from './fetcher.js';
import { cleanToken } from './token.js';

const STATES = {
  [Status.checking]: 'Checking…',
  [Status.signedIn]: 'Signed in',
  [Status.open]: 'Not signed in',
  [Status.refused]: 'Not signed in',
  [Status.unreachable]: 'Gateway not reachable',
};

function Hint({ status, token }) {
  if (status === Status.unreachable) return 'The gateway does not answer. Is it running?';
  if (status !== Status.refused) return null;
  return (
    <>
      {token ? 'This token is not accepted. ' : ''}Enter an API token: <code>user-gateway token create --user ID</code>
    </>
  );
}

/** The bar above GraphiQL: the token field, and whether the gateway accepts the token. */
export function TokenBar({ token, status, onToken }) {
  const [text, setText] = useState(token);
  const field = useRef(null);

  // The token also changes from outside: by a link with #token=…, or by signing out.
  useEffect(() => setText(token), [token]);

  function submit(event) {
    event.preventDefault();
    onToken(cleanToken(text));
  }

  function signOut() {
    setText('');
    onToken('');
    field.current.focus();
  }

  // A token typed but not sent yet would be forgotten when an operation is run next.
  function leave() {
    const clean = cleanToken(text);
    if (clean !== token) onToken(clean);
  }

  const edited = cleanToken(text) !== token;
  // No token at all is a start, not a mistake.
  const rejected = status === Status.refused && token !== '';
  const signedIn = status === Status.signedIn && !edited;
  return (
    // GraphiQL defines its colours and fonts for this class, in both themes.
    <header className="graphiql-container token-bar">
      <strong className="token-bar-title">user-gateway</strong>
      <span className="token-bar-hint" role="alert" id="token-hint">
        <Hint status={status} token={token} />
      </span>
      <form className="token-bar-form" onSubmit={submit}>
        <label htmlFor="token">API token</label>
        <input
          id="token"
          ref={field}
          type="password"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onBlur={leave}
          autoComplete="off"
          spellCheck={false}
          placeholder="none"
          aria-invalid={rejected && !edited}
          aria-describedby="token-hint"
        />
        {/* With one key for both, the button would turn into the one that sends the form while the
            click on it is still being worked on, and the form would be sent. */}
        {signedIn ? (
          <button key="out" type="button" onClick={signOut}>
            Sign out
          </button>
        ) : (
          <button key="in" type="submit">Sign in</button>
        )}
      </form>
      <span className={`token-bar-state token-bar-state-${rejected ? 'rejected' : status}`} role="status">
        {STATES[status]}
      </span>
    </header>
  );
}
