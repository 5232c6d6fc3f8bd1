/** HTTP: the JSON API as the page calls it, the CSRF header on each change, one place that notices the session's end. */
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
  constructor(status, code, message, errors = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.errors = errors;
  }
}

/** Do one request and return its JSON, null where the answer has none. */
async function request(method, path, body) {
  const init = { method, credentials: 'same-origin', cache: 'no-store', headers: { Accept: 'application/json' } };
  if (method !== 'GET') init.headers['X-CSRF-Token'] = csrf;
  if (body !== undefined) {
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
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
    const words = answer?.detail || t('console.http_error', { status: response.status });
    throw new ApiError(response.status, answer?.code || '', words, answer?.errors);
  }
  return answer;
}

const API = '/api/v1/';

/** Read. */
export const get = (path) => request('GET', API + path);

/** Make or do something. */
export const post = (path, body) => request('POST', API + path, body);

/** Change a thing. */
export const patch = (path, body) => request('PATCH', API + path, body);

/** Take a thing away. */
export const remove = (path) => request('DELETE', API + path);

/** Read a whole list, however many pages it fills; name is where its rows stand. */
export async function all(path, name) {
  const rows = [];
  for (let cursor = ''; ;) {
    const page = await get(withCursor(path, cursor));
    rows.push(...page[name]);
    if (!page.next) return rows;
    cursor = page.next;
  }
}

/** Return a path with the place in its list at which it is read on. */
export const withCursor = (path, cursor) =>
  cursor ? `${path}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}` : path;

/** End the session. */
export const signOut = () => request('POST', '/logout').catch(() => null);
