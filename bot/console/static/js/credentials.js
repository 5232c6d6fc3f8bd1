/** Credentials: what opens servers. A secret goes in here and never comes back out. */
import { all, post, remove, serverNow } from './api.js';
import { choice, confirmed, dayField, endOf, field, formDialog, toast, working } from './dialog.js';
import { button, h } from './dom.js';
import { listed, t, when } from './i18n.js';
import { emptyState, loading, page, table } from './page.js';
import { tabs } from './views.js';

const DAY_MS = 86_400_000;
const WARN_DAYS = [14, 3]; // as it0 tells a credential's owner
const KINDS = ['ssh_key', 'ssh_password', 'kubeconfig'];
const QUIET = { autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off' };

/** Mount the page. */
export function mountCredentials(root) {
  const place = h('div');
  const again = () => loading(place, list);
  const add = () => button(t('console.credential_add'), {
    look: 'primary', icon: 'plus', onclick: async () => { if (await addCredential()) again(); },
  });
  root.append(page(t('console.credentials'), add(), tabs('credentials'), h('p', { class: 'muted' }, t('console.credential_text')), place));
  again();

  async function list() {
    const credentials = await all('credentials', 'credentials');
    if (!credentials.length) return emptyState('key', t('console.credentials_none'), add());
    const columns = ['name', 'kind', 'fingerprint', 'created', 'used', 'expires', 'actions'].map((name) => t(`console.credential_${name}`));
    return table(t('console.credentials'), columns, credentials.map((one) => [
      h('b', null, one.name), t(`console.kind_${one.kind}`), one.fingerprint && h('code', { class: 'wrap' }, one.fingerprint),
      when(one.created_at), one.used_at ? when(one.used_at) : '—', expiry(one),
      one.revoked
        ? h('span', { class: 'badge state state-cancelled' }, t('status.revoked'))
        : h('div', { class: 'row-actions' },
          button(t('console.credential_replace'), { look: 'plain btn-small', onclick: async () => { if (await replace(one)) again(); } }),
          button(t('console.credential_revoke'), { look: 'ghost btn-small', onclick: (event) => working(event.currentTarget, () => revoke(one, again)) })),
    ]));
  }
}

/** When a credential ends, and, soon before, in how many days. */
function expiry(one) {
  if (!one.expires_at) return '—';
  const days = Math.ceil((new Date(one.expires_at) - serverNow()) / DAY_MS);
  const look = days > WARN_DAYS[0] ? '' : days > WARN_DAYS[1] ? 'state-pending' : 'state-rejected';
  return h('div', null, when(one.expires_at), !one.revoked && look && h('p', null, h('span', { class: `badge state ${look}` },
    days <= 0 ? t('console.credential_expired') : t('console.credential_days', { days }))));
}

async function revoke(one, again) {
  const sure = await confirmed(t('console.credential_revoke'), t('console.credential_revoke_sure', { name: one.name }),
    t('console.credential_revoke'));
  if (!sure) return;
  const { servers } = await remove(`credentials/${encodeURIComponent(one.name)}`);
  toast(servers.length ? t('console.credential_was_used', { servers: listed(servers) }) : t('console.saved'), servers.length > 0);
  again();
}

/** The fields that take a secret of some kind; only the one that is shown is sent, and clear() empties them all. */
function secretFields(first) {
  const text = h('textarea', { name: 'secret', rows: '6', class: 'mono', required: true, ...QUIET });
  const password = h('input', { name: 'secret', type: 'password', required: true, ...QUIET, autocomplete: 'new-password' });
  const file = h('input', {
    type: 'file', 'aria-label': t('console.credential_file'),
    onchange: async () => {
      if (file.files[0]) text.value = await file.files[0].text();
      file.value = '';
    },
  });
  const label = h('span');
  const long = h('div', { class: 'fields' }, field(label, text, t('console.credential_key_hint')), field(t('console.credential_file'), file));
  const short = field(t('console.credential_secret'), password);
  const show = (kind) => {
    const isLong = kind === 'ssh_key' || kind === 'kubeconfig';
    label.textContent = t(kind === 'ssh_key' ? 'console.credential_key' : 'console.kind_kubeconfig');
    text.placeholder = kind === 'ssh_key' ? '-----BEGIN OPENSSH PRIVATE KEY-----' : 'apiVersion: v1';
    long.hidden = !isLong;
    short.hidden = isLong;
    text.disabled = !isLong;
    password.disabled = isLong;
  };
  show(first);
  return { nodes: [long, short], show, clear: () => { text.value = password.value = ''; } };
}

/** Take a new credential in; resolves with its name and fingerprint. */
export async function addCredential() {
  const secret = secretFields('ssh_key');
  const kind = choice('kind', KINDS.map((name) => [name, t(`console.kind_${name}`)]), 'ssh_key', { onchange: () => secret.show(kind.value) });
  try {
    return await formDialog(t('console.credential_add'), [
      h('p', { class: 'muted' }, t('console.credential_text')),
      field(t('console.credential_name'), h('input', { name: 'name', required: true, maxlength: '63', autofocus: true, ...QUIET })),
      field(t('console.credential_kind'), kind), secret.nodes, dayField(t('console.credential_until'), t('console.credential_until_hint')),
    ], t('console.credential_add'), async (v) => {
      const name = v.name.trim();
      return { name, ...await post('credentials', { name, kind: v.kind, secret: v.secret, expires_at: endOf(v.expires_at) }) };
    });
  } finally {
    secret.clear();
  }
}

/** Put another secret in a credential's place. */
async function replace(one) {
  const secret = secretFields(one.kind);
  try {
    const done = await formDialog(t('console.credential_replace_title', { name: one.name }), [
      h('p', null, t('console.credential_replace_text', { name: one.name })), secret.nodes,
      dayField(t('console.credential_until'), t('console.credential_until_hint')),
    ], t('console.credential_replace'), (v) =>
      post(`credentials/${encodeURIComponent(one.name)}/rotate`, { secret: v.secret, expires_at: endOf(v.expires_at) }));
    if (done) toast(t('console.saved'));
    return done;
  } finally {
    secret.clear();
  }
}
