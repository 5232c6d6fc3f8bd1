/** Clusters: servers that stand together, or Kubernetes and Swarm behind a server. */
import { all, post, remove } from './api.js';
import { environmentBadge } from './card.js';
import { choice, confirmed, field, formDialog, toast, working } from './dialog.js';
import { button, h } from './dom.js';
import { listed, t, tOr } from './i18n.js';
import { emptyState, loading, outcomeOf, page, table } from './page.js';
import { state } from './store.js';
import { tabs } from './views.js';

const KINDS = ['bare_metal', 'k8s', 'docker_swarm'];
const path = (cluster, what = '') => `clusters/${encodeURIComponent(cluster.name)}${what}`;

/** Mount the page. */
export function mountClusters(root) {
  const admin = state.me.user.role === 'admin';
  const place = h('div');
  const again = () => loading(place, list);
  const add = () => button(t('console.cluster_add'), { look: 'primary', icon: 'plus', onclick: (event) => working(event.currentTarget, () => addCluster(again)) });
  root.append(page(t('console.nav_clusters'), admin && add(), tabs('clusters'), h('p', { class: 'muted' }, t('console.clusters_hint')), place));
  again();

  async function list() {
    const clusters = await all('clusters', 'clusters');
    if (!clusters.length) return emptyState('layers', t(admin ? 'console.clusters_none_admin' : 'console.clusters_none'), admin && add());
    const columns = ['name', 'kind', 'environment', 'reached', 'actions'].map((name) => t(`console.cluster_${name}`));
    return table(t('console.nav_clusters'), columns, clusters.map((cluster) => cells(cluster, admin, again)));
  }
}

function cells(cluster, admin, again) {
  const outcome = h('div', { class: 'check-result', role: 'status', hidden: true });
  const check = (event) => outcomeOf(event.currentTarget, outcome, t('console.server_checking'), async () => {
    const { checks } = await post(path(cluster, '/check'));
    return checks.length ? checks : [{ ok: false, message: t('console.cluster_no_servers'), can: [] }];
  });
  const drop = async () => {
    if (!(await confirmed(t('console.cluster_remove'), t('console.cluster_remove_sure', { name: cluster.name }), t('console.cluster_remove')))) return;
    await remove(path(cluster));
    toast(t('console.saved'));
    again();
  };
  return [
    h('div', null, h('b', null, cluster.name), cluster.description && h('p', { class: 'muted clamp' }, cluster.description)),
    t(`console.cluster_kind_${cluster.kind}`), environmentBadge(cluster.environment),
    cluster.entry ? t('console.server_via', { jump: cluster.entry })
      : cluster.kubeconfig ? t('console.cluster_by_api', { kubeconfig: cluster.kubeconfig })
      : cluster.servers.length ? listed(cluster.servers) : h('span', { class: 'muted' }, t('console.cluster_no_servers')),
    h('div', null, h('div', { class: 'row-actions' },
      state.me.user.role !== 'viewer' && button(t('console.server_check'), { look: 'plain btn-small', onclick: check }),
      admin && button(t('console.cluster_remove'), { look: 'ghost btn-small', onclick: (event) => working(event.currentTarget, drop) })), outcome),
  ];
}

/** Ask for a new cluster; bare metal has servers of its own, the others one by which they are reached, or an API. */
async function addCluster(again) {
  const [servers, credentials] = await Promise.all([all('servers', 'servers'), all('credentials', 'credentials')]);
  const opening = credentials.filter((one) => one.kind === 'kubeconfig').map((one) => [one.name, one.name]);
  const api = choice('kubeconfig', [['', t('console.cluster_by_entry')], ...opening], '', { onchange: () => show() });
  const called = field(t('console.kind_kubeconfig'), api, t('console.cluster_kubeconfig_hint'));
  const entry = choice('entry', [['', t('console.choose')], ...servers.map((one) => [one.name, one.name])], '', { required: true });
  const reached = field(t('console.cluster_entry'), entry, t('console.cluster_entry_hint'));
  const members = h('p', { class: 'hint' }, t('console.cluster_members_hint'));
  const kind = choice('kind', KINDS.map((name) => [name, t(`console.cluster_kind_${name}`)]), 'k8s', { onchange: () => show() });
  const show = () => {
    const own = kind.value === 'bare_metal';
    called.hidden = kind.value !== 'k8s' || !opening.length;
    api.disabled = called.hidden;
    reached.hidden = own || (!api.disabled && api.value !== '');
    entry.disabled = reached.hidden;
    members.hidden = !own;
  };
  show();
  const made = await formDialog(t('console.cluster_add'), [
    field(t('console.cluster_name'), h('input', { name: 'name', required: true, maxlength: '63', autofocus: true, autocapitalize: 'off', spellcheck: 'false' })),
    field(t('console.cluster_kind'), kind), members, called, reached,
    field(t('console.cluster_environment'), choice('environment', ['dev', 'staging', 'prod'].map((e) => [e, tOr(`environment.${e}`, e)]), 'prod'),
      t('console.server_environment_hint')),
    field(t('console.server_description'), h('input', { name: 'description', maxlength: '500' })),
  ], t('console.cluster_add'), (v) => post('clusters', {
    name: v.name.trim(), kind: v.kind, environment: v.environment, entry: v.entry || '', description: v.description.trim(),
    ...(v.kubeconfig ? { kubeconfig: v.kubeconfig } : {}),
  }));
  if (!made) return;
  toast(t('console.saved'));
  again();
}
