// Where the bearer token comes from and where it is kept: sessionStorage, so that it ends with the
// browser tab and is not shared between tabs.

const KEY = 'user-gateway:token';

/** What a person pastes, reduced to the token itself. */
export function cleanToken(text) {
  return text.trim().replace(/^bearer\s+/i, '');
}

/** Whether the text can be sent in a header at all. */
export function isSendable(token) {
  return /^[\x21-\x7e]*$/.test(token);
}

export function storeToken(token) {
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage can be switched off; the token then lives as long as the page.
  }
}

/** Takes the token out of the address (`#token=…`), if it is there. */
export function takeTokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return null;
  // The fragment never reaches a server; it must not stay in the address bar or the history either.
  history.replaceState(null, '', location.pathname + location.search);
  return cleanToken(token);
}

export function initialToken() {
  const token = takeTokenFromAddress();
  if (token !== null) {
    storeToken(token);
    return token;
  }
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}
