/** Servers: the fleet as a table, and what may be done with each. */
import { all, post, remove } from './api.js';
import { environmentBadge } from './card.js';
import { confirmed, toast, working } from './dialog.js';
import { button, fill, h, icon } from './dom.js';
import { t, tOr } from './i18n.js';
import { emptyState, loading, menu, outcomeOf, page, table } from './page.js';
import { addServer, changeServer, confirmKey, serverPath, showHardening } from './serverforms.js';
import { state } from './store.js';
import { tabs } from './views.js';

/** Mount the page. */
export function mountServers(root) {
  const admin = state.me.user.role === 'admin';
  const place = h('div');
  let servers = [];
  let read = null; // the list on its way: the form offers jump servers of it
  const again = () => { read = loading(place, list); };
  const add = (look) => button(t('console.server_add'), {
    look, icon: 'plus', onclick: (event) => working(event.currentTarget, async () => { await read; await addServer(servers, again); }),
  });
  const filter = h('input', {
    type: 'search', class: 'search', placeholder: t('console.servers_filter'), 'aria-label': t('console.servers_filter'), oninput: sift,
  });
  root.append(page(t('console.nav_servers'), [filter, admin && add('primary')], tabs('servers'), place));
  again();

  async function list() {
    servers = await all('servers', 'servers');
    if (!servers.length) return emptyState('server', t(admin ? 'console.servers_none_admin' : 'console.servers_none'), admin && add('primary'));
    const columns = ['name', 'address', 'environment', 'access', 'state', 'actions'].map((name) => t(`console.server_${name}`));
    requestAnimationFrame(sift);
    return table(t('console.nav_servers'), columns, servers.map((server) => cells(server, servers, admin, again)));
  }

  function sift() {
    const wanted = filter.value.trim().toLowerCase();
    for (const [n, node] of [...place.querySelectorAll('tbody tr')].entries()) {
      node.hidden = Boolean(wanted) && !JSON.stringify(servers[n] || '').toLowerCase().includes(wanted);
    }
  }
}

function cells(server, servers, admin, again) {
  const outcome = h('div', { class: 'check-result', role: 'status', hidden: true });
  const local = server.connection === 'local';
  return [
    h('div', null, h('b', null, server.name),
      server.role && h('span', { class: 'badge' }, tOr(`console.server_role_${server.role}`, server.role)),
      server.cluster && h('p', { class: 'muted' }, t('console.server_in', { cluster: server.cluster })),
      server.description && h('p', { class: 'muted clamp' }, server.description), tags(server.tags)),
    local ? t('console.server_local') : h('code', { class: 'address' }, `${server.user}@${server.host}${server.port === 22 ? '' : `:${server.port}`}`),
    environmentBadge(server.environment),
    h('div', { class: 'access' }, login(server.credential), server.read_user && h('p', { class: 'muted' }, t('console.server_reads_as', { user: server.read_user, credential: server.read_credential })),
      server.jump && h('p', { class: 'muted' }, t('console.server_via', { jump: server.jump })), tags(server.ssh_options),
      server.can.map((words) => h('p', { class: 'muted clamp' }, words)), !local && isUnseen(server) && h('p', { class: 'muted clamp' }, t('console.server_unseen'))),
    h('div', null, stateBadge(server),
      server.fingerprint && server.status === 'active' && h('code', { class: 'fingerprint-small', title: server.fingerprint }, server.fingerprint)),
    h('div', null, h('div', { class: 'row-actions' }, actions(server, servers, admin, again, outcome)), outcome),
  ];
}

/** Whether nobody knows yet, or any more, what it0 can do there: its login may be refused. */
const isUnseen = (server) => server.status === 'active' && !server.can.length;

const login = (credential) => credential && h('span', { class: 'with-icon' }, icon('key'), credential);

/** Ask which key an untrusted server shows now; null where it cannot be told. */
async function shownKey(server) {
  if (server.fingerprint) return server.fingerprint;
  return (await post(serverPath(server, 'check')).catch(() => null))?.fingerprint || null;
}

const tags = (pairs) => Object.entries(pairs || {}).map(([key, value]) => h('span', { class: 'tag' }, `${key}=${value}`));

function stateBadge(server) {
  const look = server.status === 'active' ? 'approved' : server.status === 'untrusted' ? 'pending' : 'cancelled';
  return [h('span', { class: `badge state state-${look}` }, tOr(`status.${server.status}`, server.status)),
    server.restricted && h('span', { class: 'badge' }, t('console.server_restricted'))];
}

function actions(server, servers, admin, again, outcome) {
  const untrusted = server.status === 'untrusted';
  const local = server.connection === 'local';
  const check = (event) => outcomeOf(event.currentTarget, outcome, t('console.server_checking'), async () => [await post(serverPath(server, 'check'))]);
  const sure = (title, text, act) => async () => {
    if (!(await confirmed(t(title), t(text, { name: server.name }), t(title)))) return;
    try {
      await act();
      toast(t('console.saved'));
    } catch (error) {
      toast(error.message, true);
    }
    again();
  };
  const on = (act) => (event) => working(event.currentTarget, act);
  const may = state.me.user.role !== 'viewer';
  return [
    may && !untrusted && button(t('console.server_check'), { look: 'plain btn-small', onclick: check }),
    admin && untrusted && button(t('console.server_confirm'), {
      look: 'primary btn-small', onclick: on(async () => confirmKey(server, await shownKey(server), again)),
    }),
    admin && button(t('console.server_change'), { look: 'plain btn-small', onclick: on(() => changeServer(server, servers, again)) }),
    admin && menu(t('console.more_for', { name: server.name }), [
      !local && [t('console.harden'), on(() => showHardening(server))],
      !untrusted && !local && [t('console.server_distrust'),
        sure('console.server_distrust', 'console.server_distrust_sure', () => post(serverPath(server, 'distrust')))],
      [t('console.server_remove'), sure('console.server_remove', 'console.server_remove_sure', () => remove(serverPath(server)))],
    ]),
  ];
}
