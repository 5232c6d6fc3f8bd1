/** Adding a server, and confirming the host key that it shows. */
import { all, post } from './api.js';
import { addCredential } from './credentials.js';
import { choice, field, formDialog, toast } from './dialog.js';
import { button, h, icon } from './dom.js';
import { t, tOr } from './i18n.js';
import { codeBlock, copier } from './code.js';

const ROLES = ['web', 'db', 'cache', 'worker', 'gateway'];

/** What may be set for one SSH connection; the server refuses everything else. */
const SECONDS = ['connect_timeout_s', 'keepalive_s'];
const SWITCHES = ['compression', 'legacy_algorithms'];

/** Return `team=shop, tier=web` as an object; throws with the piece that is no tag. */
function tagsOf(text) {
  const tags = {};
  for (const piece of text.split(/[,，\n]/).map((one) => one.trim()).filter(Boolean)) {
    const [, key, value] = /^([^\s=]+)\s*=\s*(.*)$/.exec(piece) || [];
    if (!key) throw Object.assign(new Error(t('console.server_tags_bad', { tag: piece })), { code: 'server.bad_tags' });
    tags[key] = value;
  }
  return tags;
}

/** Return the SSH options that a form sets; what is left alone keeps it0's own value. */
const sshOptions = (values) => Object.fromEntries([
  ...SECONDS.filter((name) => values[name]).map((name) => [name, Number(values[name])]),
  ...SWITCHES.filter((name) => values[name]).map((name) => [name, true])]);

/** A switch with its words, and what it means below. */
function tick(name, label, hint) {
  const box = h('input', { type: 'checkbox', name, id: `server-${name}`, 'aria-describedby': hint && `server-${name}-hint` });
  return h('div', null, h('label', { class: 'tick', for: box.id }, box, label),
    hint && h('p', { class: 'hint', id: `server-${name}-hint` }, hint));
}

/** Ask for a new server; then for its key. */
export async function addServer(servers, again) {
  const credentials = await all('credentials', 'credentials').catch(() => []);
  const input = (name, props) => h('input', { name, autocapitalize: 'off', autocomplete: 'off', spellcheck: 'false', ...props });
  const picker = choice('credential', [], '', { required: true });
  const known = (list, chosen) => picker.replaceChildren(
    h('option', { value: '' }, t('console.choose')),
    ...list.filter((one) => !one.revoked).map((one) =>
      h('option', { value: one.name, selected: one.name === chosen }, `${one.name} · ${t(`console.kind_${one.kind}`)}`)));
  known(credentials);
  const fresh = button(t('console.credential_add'), {
    look: 'plain', icon: 'plus',
    onclick: async () => {
      const made = await addCredential();
      if (made) known(await all('credentials', 'credentials'), made.name);
    },
  });
  const host = input('host', { required: true, placeholder: '10.0.0.5' });
  const port = input('port', { type: 'number', min: '1', max: '65535', value: '22', required: true });
  const user = input('user', { required: true, placeholder: 'it0' });
  const jump = choice('jump', [['', t('console.server_direct')], ...servers.map((one) => [one.name, one.name])], '');
  const remote = h('div', { class: 'fields remote' },
    h('div', { class: 'pair' }, field(t('console.server_host'), host), field(t('console.server_port'), port)),
    field(t('console.server_user'), user, t('console.server_user_hint')),
    field(t('console.credential'), picker), h('div', null, fresh),
    field(t('console.server_jump'), jump),
    h('details', { class: 'fold' }, h('summary', null, icon('chevron', 'turn'), t('console.server_more')), h('div', { class: 'fields' },
      tick('restricted', t('console.server_restricted'), t('console.server_restricted_hint')),
      field(t('console.server_shell'), choice('shell', [['bash', 'bash'], ['sh', 'sh']], 'bash'), t('console.server_shell_hint')),
      h('div', { class: 'pair even' }, SECONDS.map((name) =>
        field(t(`console.ssh_${name}`), input(name, { type: 'number', min: '1', max: '3600', placeholder: t('console.ssh_default') })))),
      SWITCHES.map((name) => tick(name, t(`console.ssh_${name}`), t(`console.ssh_${name}_hint`))))));
  const connection = choice('connection', [['ssh', 'SSH'], ['local', t('console.server_local')]], 'ssh', {
    onchange: () => {
      const local = connection.value === 'local';
      remote.hidden = local;
      for (const one of remote.querySelectorAll('input, select')) one.disabled = local;
    },
  });
  const made = await formDialog(t('console.server_add'), [
    h('div', { class: 'pair' },
      field(t('console.server_name'), input('name', { required: true, maxlength: '64', placeholder: 'web-1', autofocus: true })),
      field(t('console.server_connection'), connection)),
    remote,
    h('div', { class: 'pair' },
      field(t('console.server_environment'), choice('environment', ['dev', 'staging', 'prod'].map((e) => [e, tOr(`environment.${e}`, e)]), 'prod'),
        t('console.server_environment_hint')),
      field(t('console.server_role'), choice('role', [['', '—'], ...ROLES.map((r) => [r, t(`console.server_role_${r}`)])], ''))),
    field(t('console.server_tags'), input('tags', { placeholder: 'team=shop, tier=web' }), t('console.server_tags_hint')),
    field(t('console.server_description'), input('description', { maxlength: '500' })),
  ], t('console.server_add'), async (v) => post('servers', {
    name: v.name.trim(), host: v.host?.trim() || 'localhost', port: Number(v.port || 22), user: v.user?.trim() || '',
    credential: v.credential || null, environment: v.environment, role: v.role || null, jump: v.jump || null,
    description: v.description.trim(), connection: v.connection, tags: tagsOf(v.tags), restricted: Boolean(v.restricted),
    shell: v.shell || 'bash', ssh_options: sshOptions(v),
  }), { wide: true });
  if (!made) return;
  again();
  if (made.server.status === 'untrusted' || made.fingerprint) confirmKey(made.server, made.fingerprint, again);
  else toast(t('console.saved'));
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
    post(`servers/${encodeURIComponent(server.name)}/trust`, { fingerprint: fingerprint || values.fingerprint.trim() }), { wide: true });
  if (done) toast(t('console.key_trusted', { name: server.name }));
  again();
}
