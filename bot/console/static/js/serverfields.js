/** The fields that describe a server, for a new one and for one that is changed. */
import { all } from './api.js';
import { addCredential } from './credentials.js';
import { choice, field, tick } from './dialog.js';
import { button, h, icon } from './dom.js';
import { t, tOr } from './i18n.js';

const ROLES = ['web', 'db', 'cache', 'worker', 'gateway'];

/** What may be set for one SSH connection; the server refuses everything else. */
const SECONDS = ['connect_timeout_s', 'keepalive_s'];
const SWITCHES = ['compression', 'legacy_algorithms'];

/** What a server is before anybody has said anything of it. */
const BLANK = {
  name: '', connection: 'ssh', host: '', port: 22, user: '', credential: null, jump: null, cluster: null, environment: 'prod', role: null,
  tags: {}, description: '', restricted: false, shell: 'bash', ssh_options: {}, read_user: '', read_credential: null,
};

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

/** Return what the form says of a server; what a local one does not have is left out. */
export function described(v, local) {
  const everywhere = {
    environment: v.environment, role: v.role || null, tags: tagsOf(v.tags), description: v.description.trim(), cluster: v.cluster || '',
    shell: v.shell || 'bash',
  };
  if (local) return everywhere;
  return {
    ...everywhere, host: v.host.trim(), port: Number(v.port), user: v.user.trim(), credential: v.credential, jump: v.jump || '',
    restricted: Boolean(v.restricted), ssh_options: sshOptions(v), read_user: v.read_user.trim(), read_credential: v.read_credential || '',
  };
}

/** Return the names that may be chosen; what stands there now is one of them, whatever became of it. */
const withNow = (names, now) => (now && !names.includes(now) ? [...names, now] : names);

/** A choice among the credentials that open a server, and how to take a new one in. */
function pickers(credentials, server) {
  const fillIn = (node, first, list, chosen) => {
    const opening = new Map(list.filter((one) => !one.revoked && one.kind.startsWith('ssh_')).map((one) => [one.name, t(`console.kind_${one.kind}`)]));
    node.replaceChildren(h('option', { value: '' }, first), ...withNow([...opening.keys()], chosen).map((name) =>
      h('option', { value: name, selected: name === chosen }, `${name} · ${opening.get(name) || t('status.revoked')}`)));
  };
  const main = choice('credential', [], '', { required: true });
  const reading = choice('read_credential', [], '');
  const known = (list, chosen) => {
    fillIn(main, t('console.choose'), list, chosen ?? server.credential);
    fillIn(reading, t('console.server_read_none'), list, reading.value || server.read_credential);
  };
  known(credentials);
  const fresh = button(t('console.credential_add'), {
    look: 'plain', icon: 'plus',
    onclick: async () => {
      const made = await addCredential();
      if (made) known(await all('credentials', 'credentials'), made.name);
    },
  });
  return { main, reading, fresh };
}

/** Return the nodes of the form. server: the one that is changed, null for a new one. */
export function serverFields(given, { servers, credentials, clusters }) {
  const server = given || BLANK;
  const input = (name, props) => h('input', { name, autocapitalize: 'off', autocomplete: 'off', spellcheck: 'false', value: server[name] ?? '', ...props });
  const { main, reading, fresh } = pickers(credentials, server);
  const jumps = servers.filter((one) => one.connection === 'ssh' && one.name !== server.name).map((one) => one.name);
  const options = server.ssh_options;
  const remote = h('div', { class: 'fields remote' },
    h('div', { class: 'pair' }, field(t('console.server_host'), input('host', { required: true, placeholder: '10.0.0.5' }), given && t('console.server_host_hint')),
      field(t('console.server_port'), input('port', { type: 'number', min: '1', max: '65535', required: true }))),
    field(t('console.server_user'), input('user', { required: true, placeholder: 'it0' }), t('console.server_user_hint')),
    field(t('console.credential'), main), h('div', null, fresh),
    field(t('console.server_jump'), choice('jump', [['', t('console.server_direct')], ...withNow(jumps, server.jump).map((name) => [name, name])], server.jump || '')),
    h('details', { class: 'fold', open: Boolean(server.read_user) }, h('summary', null, icon('chevron', 'turn'), t('console.server_read')), h('div', { class: 'fields' },
      h('p', { class: 'hint' }, t('console.server_read_hint')),
      h('div', { class: 'pair even' }, field(t('console.server_read_user'), input('read_user', { placeholder: 'it0-ro' })),
        field(t('console.server_read_credential'), reading)))),
    h('details', { class: 'fold' }, h('summary', null, icon('chevron', 'turn'), t('console.server_more')), h('div', { class: 'fields' },
      tick('restricted', t('console.server_restricted'), t('console.server_restricted_hint'), server.restricted),
      h('div', { class: 'pair even' }, SECONDS.map((name) => field(t(`console.ssh_${name}`),
        input(name, { type: 'number', min: '1', max: name === 'keepalive_s' ? '3600' : '300', value: options[name] ?? '', placeholder: t('console.ssh_default') })))),
      SWITCHES.map((name) => tick(name, t(`console.ssh_${name}`), t(`console.ssh_${name}_hint`), options[name])),
      field(t('console.server_shell'), choice('shell', [['bash', 'bash'], ['sh', 'sh']], server.shell), t('console.server_shell_hint')))));
  const setLocal = (local) => {
    remote.hidden = local;
    for (const one of remote.querySelectorAll('input, select')) one.disabled = local;
  };
  const connection = choice('connection', [['ssh', 'SSH'], ['local', t('console.server_local')]], server.connection, {
    onchange: () => setLocal(connection.value === 'local'),
  });
  setLocal(server.connection === 'local');
  return [
    !given && h('div', { class: 'pair' },
      field(t('console.server_name'), input('name', { required: true, maxlength: '63', placeholder: 'web-1', autofocus: true })),
      field(t('console.server_connection'), connection)),
    remote,
    h('div', { class: 'pair' },
      field(t('console.server_environment'), choice('environment', ['dev', 'staging', 'prod'].map((e) => [e, tOr(`environment.${e}`, e)]), server.environment),
        t('console.server_environment_hint')),
      field(t('console.server_role'), choice('role', [['', '—'], ...ROLES.map((r) => [r, t(`console.server_role_${r}`)])], server.role || ''))),
    clusters.length > 0 && field(t('console.cluster'),
      choice('cluster', [['', '—'], ...clusters.map((one) => [one.name, `${one.name} · ${tOr(`environment.${one.environment}`, one.environment)}`])], server.cluster || ''),
      t('console.server_cluster_hint')),
    field(t('console.server_tags'), input('tags', { placeholder: 'team=shop, tier=web', value: Object.entries(server.tags).map((pair) => pair.join('=')).join(', ') }),
      t('console.server_tags_hint')),
    field(t('console.server_description'), input('description', { maxlength: '500' })),
  ];
}
