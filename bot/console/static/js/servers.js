/** Servers: the fleet as a table, and what may be done with each. */
import { all, post, remove } from './api.js';
import { environmentBadge } from './card.js';
import { credentialSection } from './credentials.js';
import { confirmed, toast, working } from './dialog.js';
import { button, fill, h, icon } from './dom.js';
import { t, tOr } from './i18n.js';
import { emptyState, loading, page, table } from './page.js';
import { addServer, confirmKey } from './serverforms.js';
import { state } from './store.js';

/** Mount the page. */
export function mountServers(root) {
  const admin = state.me.user.role === 'admin';
  const place = h('div');
  const again = () => loading(place, list);
  let servers = [];
  const adding = () => addServer(servers, again);
  const filter = h('input', {
    type: 'search', class: 'search', placeholder: t('console.servers_filter'), 'aria-label': t('console.servers_filter'), oninput: sift,
  });
  root.append(page(t('console.nav_servers'),
    [filter, admin && button(t('console.server_add'), { look: 'primary', icon: 'plus', onclick: adding })],
    place, admin && credentialSection()));
  again();

  async function list() {
    servers = await all('servers', 'servers');
    if (!servers.length) {
      return emptyState('server', t(admin ? 'console.servers_none_admin' : 'console.servers_none'),
        admin && button(t('console.server_add'), { look: 'primary', icon: 'plus', onclick: adding }));
    }
    const columns = ['name', 'address', 'environment', 'access', 'state', 'actions'].map((name) => t(`console.server_${name}`));
    requestAnimationFrame(sift);
    return table(t('console.nav_servers'), columns, servers.map((server) => cells(server, admin, again)));
  }

  function sift() {
    const wanted = filter.value.trim().toLowerCase();
    for (const [n, node] of [...place.querySelectorAll('tbody tr')].entries()) {
      node.hidden = Boolean(wanted) && !JSON.stringify(servers[n] || '').toLowerCase().includes(wanted);
    }
  }
}

const path = (server, what = '') => `servers/${encodeURIComponent(server.name)}${what && `/${what}`}`;

function cells(server, admin, again) {
  const outcome = h('p', { class: 'check-result', role: 'status', hidden: true });
  const local = server.connection === 'local';
  return [
    h('div', null, h('b', null, server.name),
      server.role && h('span', { class: 'badge' }, tOr(`console.server_role_${server.role}`, server.role)),
      server.description && h('p', { class: 'muted clamp' }, server.description), tags(server.tags)),
    local ? t('console.server_local') : h('code', null, `${server.user}@${server.host}${server.port === 22 ? '' : `:${server.port}`}`),
    environmentBadge(server.environment),
    h('div', null, server.credential && h('span', { class: 'with-icon' }, icon('key'), server.credential),
      server.jump && h('p', { class: 'muted' }, t('console.server_via', { jump: server.jump })), tags(server.ssh_options)),
    h('div', null, stateBadge(server),
      server.fingerprint && server.status === 'active' && h('code', { class: 'fingerprint-small', title: server.fingerprint }, server.fingerprint)),
    h('div', null, h('div', { class: 'row-actions' }, actions(server, admin, again, outcome)), outcome),
  ];
}

/** Ask which key an untrusted server shows now; null where it cannot be told. */
async function shownKey(server) {
  if (server.fingerprint) return server.fingerprint;
  return (await post(path(server, 'check')).catch(() => null))?.fingerprint || null;
}

const tags = (all) => Object.entries(all || {}).map(([key, value]) =>
  h('span', { class: 'tag' }, Array.isArray(all) ? value : `${key}=${value}`));

function stateBadge(server) {
  const look = server.status === 'active' ? 'approved' : server.status === 'untrusted' ? 'pending' : 'cancelled';
  return [h('span', { class: `badge state state-${look}` }, tOr(`status.${server.status}`, server.status)),
    server.restricted && h('span', { class: 'badge' }, t('console.server_restricted'))];
}

function actions(server, admin, again, outcome) {
  const untrusted = server.status === 'untrusted';
  const check = (event) => working(event.currentTarget, async () => {
    fill(outcome, h('span', { class: 'spinner' }), t('console.server_checking'));
    outcome.hidden = false;
    outcome.className = 'check-result';
    try {
      const { ok, message } = await post(path(server, 'check'));
      outcome.classList.add(ok ? 'good' : 'bad');
      fill(outcome, icon(ok ? 'check' : 'x'), message);
    } catch (error) {
      outcome.classList.add('bad');
      fill(outcome, icon('alert'), error.message);
    }
  });
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
  const may = state.me.user.role !== 'viewer';
  return [
    may && !untrusted && button(t('console.server_check'), { look: 'plain btn-small', onclick: check }),
    admin && untrusted && button(t('console.server_confirm'), {
      look: 'primary btn-small',
      onclick: (event) => working(event.currentTarget, async () => confirmKey(server, await shownKey(server), again)),
    }),
    admin && !untrusted && server.connection !== 'local' && button(t('console.server_distrust'), {
      look: 'ghost btn-small', onclick: sure('console.server_distrust', 'console.server_distrust_sure', () => post(path(server, 'distrust'))),
    }),
    admin && button(t('console.server_remove'), {
      look: 'ghost btn-small', onclick: sure('console.server_remove', 'console.server_remove_sure', () => remove(path(server))),
    }),
  ];
}
