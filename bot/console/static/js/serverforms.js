/** What is done with a server in a dialog: add it, change it, confirm its key, narrow what it0 can do there. */
import { all, get, patch, post } from './api.js';
import { codeBlock, copier } from './code.js';
import { field, formDialog, openDialog, toast } from './dialog.js';
import { button, h } from './dom.js';
import { t } from './i18n.js';
import { described, serverFields } from './serverfields.js';

/** Return the address of what is done with a server. */
export const serverPath = (server, what = '') => `servers/${encodeURIComponent(server.name)}${what && `/${what}`}`;

/** Read what a server may lean on. */
async function known(servers) {
  const [credentials, clusters] = await Promise.all([all('credentials', 'credentials'), all('clusters', 'clusters')]);
  return { servers, credentials, clusters };
}

/** Ask for a new server; then for its key. */
export async function addServer(servers, again) {
  const made = await formDialog(t('console.server_add'), serverFields(null, await known(servers)), t('console.server_add'), (v) => {
    const local = v.connection === 'local';
    return post('servers', { name: v.name.trim(), connection: v.connection, ...(local && { host: 'localhost' }), ...described(v, local) });
  }, { wide: true });
  if (!made) return;
  again();
  if (made.server.status === 'untrusted' || made.fingerprint) confirmKey(made.server, made.fingerprint, again);
  else toast(t('console.saved'));
}

/** Change what is known of a server; at another address its key is asked for anew. */
export async function changeServer(server, servers, again) {
  const now = (name) => server[name] ?? (name === 'role' ? null : '');
  const same = (name, value) => JSON.stringify(value) === JSON.stringify(now(name));
  const changed = await formDialog(t('console.server_change_title', { name: server.name }), serverFields(server, await known(servers)),
    t('console.save'), (v) => {
      const wanted = Object.entries(described(v, server.connection === 'local'));
      return patch(serverPath(server), Object.fromEntries(wanted.filter(([name, value]) => !same(name, value))));
    }, { wide: true });
  if (!changed) return;
  toast(t('console.saved'));
  again();
  if (changed.status === 'untrusted' && server.status === 'active') confirmKey(changed, null, again);
}

/** Show the script that narrows what it0 can do on a server: a person reads it and runs it there. */
export async function showHardening(server) {
  const { script } = await get(serverPath(server, 'hardening'));
  return openDialog(t('console.harden_title', { name: server.name }), (close) => [
    h('div', { class: 'dialog-body' }, h('p', null, t('console.harden_text', { name: server.name })), codeBlock(script, 'harden.sh')),
    h('footer', { class: 'dialog-foot' }, button(t('console.done'), { look: 'primary', onclick: () => close() })),
  ], { wide: true });
}

/** Quote a word for a shell that a person pastes it into. */
const quoted = (word) => (/^[A-Za-z0-9.:_][A-Za-z0-9.:_-]*$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** Have a person compare the server's host key; without a shown one they paste what the server itself says. */
export async function confirmKey(server, fingerprint, again) {
  const own = h('input', {
    name: 'fingerprint', class: 'mono', required: true, autocomplete: 'off', spellcheck: 'false',
    pattern: 'SHA256:[A-Za-z0-9+\\/=]{43,44}', placeholder: 'SHA256:…', autofocus: true,
  });
  const scan = `ssh-keyscan -p ${server.port} -- ${quoted(server.host)} 2>/dev/null | ssh-keygen -lf -`;
  const there = 'for f in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf "$f"; done';
  const sure = h('input', { type: 'checkbox', required: true, id: 'key-compared' });
  const done = await formDialog(t('console.key_title', { name: server.name }), [
    h('p', null, t(fingerprint ? 'console.key_text' : 'console.key_text_paste', { name: server.name, host: server.host, port: server.port })),
    fingerprint
      ? h('div', { class: 'fingerprint' }, h('code', null, fingerprint), copier(() => fingerprint))
      : field(t('console.key_fingerprint'), own),
    h('div', { class: 'compare' },
      h('p', { class: 'field-label' }, t('console.key_there')), codeBlock(there, t('console.key_there_title', { name: server.name })),
      h('p', { class: 'field-label' }, t('console.key_scan')), codeBlock(scan, t('console.key_scan_title'))),
    fingerprint && h('label', { class: 'tick' }, sure, t('console.key_compared')),
  ], t('console.key_trust'), (values) =>
    post(serverPath(server, 'trust'), { fingerprint: fingerprint || values.fingerprint.trim() }), { wide: true });
  if (done) toast(t('console.key_trusted', { name: server.name }));
  again();
}
