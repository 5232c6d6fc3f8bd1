/** What I said or pressed and the server has not yet accepted: kept in localStorage, one key an event. */
import { emit } from './bus.js';

const STALE_MS = 3_600_000;
const TAKEN_MS = 10_000;
const memory = new Map();
const taken = new Map();
let prefix = '';
let count = 0;

/** Return an id that nobody can guess (also where the page is not a secure context). */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Read back what this user left here, and follow what other tabs do. */
export function openOutbox(user) {
  prefix = `it0.outbox.${user}.`;
  load();
  addEventListener('storage', (event) => {
    if (event.key === null || event.key.startsWith(prefix)) load();
  });
}

/** Read all entries from storage. */
function load() {
  const kept = new Map([...memory].filter(([, entry]) => entry.volatile));
  try {
    for (let n = 0; n < localStorage.length; n += 1) {
      const key = localStorage.key(n);
      if (!key.startsWith(prefix)) continue;
      const entry = JSON.parse(localStorage.getItem(key));
      kept.set(entry.message.id, memory.get(entry.message.id) || entry);
    }
  } catch {
    return; // no storage: memory has to do
  }
  memory.clear();
  for (const [id, entry] of kept) memory.set(id, entry);
  emit('outbox');
}

/** Return all entries, oldest first. */
export const entries = () => [...memory.values()].sort((a, b) => a.at - b.at || a.n - b.n);

/** Return the entry with an id. */
export const entry = (id) => memory.get(id);

/** Return whether an entry is too old to be sent without asking. */
export const stale = (one) => Date.now() - one.at > STALE_MS;

/** Keep a message until it is accepted. volatile: not beyond this page (a Stop must not hit a later turn). */
export function keep(message, { volatile = false, ...more } = {}) {
  const one = { message, at: Date.now(), n: (count += 1), volatile, ...more };
  memory.set(message.id, one);
  save(one);
  emit('outbox');
  return one;
}

/** Make an old entry fresh again. */
export function refresh(one) {
  one.at = Date.now();
  save(one);
}

/** Note that an entry went out: from here on the server may have it. */
export function sent(one) {
  one.sent = true;
  if (one.tried) return;
  one.tried = true;
  save(one);
}

/** Forget an entry; return it. */
export function forget(id) {
  const one = memory.get(id);
  memory.delete(id);
  try {
    localStorage.removeItem(prefix + id);
  } catch {
    // nothing was stored
  }
  emit('outbox');
  return one;
}

/** Remember that a pressed button was accepted: it rests until its effect shows. */
export function rest(value) {
  taken.set(value, Date.now());
  setTimeout(() => emit('outbox'), TAKEN_MS + 50);
}

/** A button that was accepted came to nothing: it may be pressed again. */
export function wake(value) {
  taken.delete(value);
  emit('outbox');
}

/** Return how a button stands: sending, taken or null. */
export function pressed(value) {
  for (const one of memory.values()) if (one.message.button === value) return 'sending';
  return Date.now() - (taken.get(value) ?? 0) < TAKEN_MS ? 'taken' : null;
}

function save(one) {
  if (one.volatile) return;
  try {
    localStorage.setItem(prefix + one.message.id, JSON.stringify({ message: one.message, at: one.at, n: one.n, tried: one.tried }));
  } catch {
    // full or forbidden: memory has to do
  }
}
