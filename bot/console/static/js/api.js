/** HTTP: JSON in and out, the CSRF header on each POST, one place that notices the session's end. */
import { t, tOr } from './i18n.js';

let csrf = '';
let skew = 0;
let onSignedOut = () => {};

/** Set the CSRF token of the session. */
export const setCsrf = (value) => { csrf = value; };

/** Set what happens when the session has ended. */
export const whenSignedOut = (act) => { onSignedOut = act; };

/** Return the server's time now, as far as its Date header told. */
export const serverNow = () => Date.now() + skew;

/** An answer that is no success. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Do one request and return its JSON. */
async function request(method, path, body) {
  const init = { method, credentials: 'same-origin', cache: 'no-store', headers: { Accept: 'application/json' } };
  if (method === 'POST') {
    init.headers['X-CSRF-Token'] = csrf;
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body ?? {});
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new ApiError(0, 'offline', tOr('console.offline_error', 'The console cannot reach it0.'));
  }
  const date = Date.parse(response.headers.get('Date') || '');
  if (Math.abs(date - Date.now()) > 2000) skew = date - Date.now();
  else if (date) skew = 0;
  const answer = await response.json().catch(() => null);
  if (response.status === 401) onSignedOut();
  if (!response.ok) {
    const error = answer?.error || {};
    throw new ApiError(response.status, error.code || '', error.message || t('console.http_error', { status: response.status }));
  }
  return answer;
}

/** Read. */
export const get = (path) => request('GET', `/api/console/${path}`);

/** Change. */
export const post = (path, body) => request('POST', `/api/console/${path}`, body);

/** End the session. */
export const signOut = () => request('POST', '/logout').catch(() => null);
