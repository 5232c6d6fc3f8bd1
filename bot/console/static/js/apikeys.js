/** API keys: who may call the JSON API. A token is shown once, when it is made. */
import { all, post, remove, serverNow } from './api.js';
import { codeBlock } from './code.js';
import { choice, confirmed, dayField, endOf, field, formDialog, showOnce, toast, working } from './dialog.js';
import { button, h } from './dom.js';
import { t, when } from './i18n.js';
import { emptyState, loading, page, table } from './page.js';
import { tabs } from './views.js';

const ROLES = ['viewer', 'operator', 'admin'];

/** Mount the page. */
export function mountKeys(root) {
  const place = h('div');
  const again = () => loading(place, list);
  const add = () => button(t('console.apikey_add'), { look: 'primary', icon: 'plus', onclick: () => make(again) });
  root.append(page(t('console.nav_keys'), add(), tabs('keys'), h('p', { class: 'muted' }, t('console.apikeys_hint')), place));
  again();

  async function list() {
    const keys = await all('keys', 'keys');
    if (!keys.length) return emptyState('key', t('console.apikeys_none'), add());
    const columns = ['name', 'role', 'begins', 'made_by', 'created', 'used', 'expires', 'actions'].map((name) => t(`console.apikey_${name}`));
    return table(t('console.nav_keys'), columns, keys.map((key) => [
      h('b', null, key.name), t(`role.${key.role}`), h('code', null, `${key.prefix}…`), key.made_by || t('console.apikey_by_command'),
      when(key.created_at), key.used_at ? when(key.used_at) : '—', key.expires_at ? when(key.expires_at) : '—', stands(key, again),
    ]));
  }
}

/** What can be done with a key, or why nothing can. */
function stands(key, again) {
  const over = key.expires_at && new Date(key.expires_at) <= serverNow();
  if (key.revoked_at || over) return h('span', { class: 'badge state state-cancelled' }, t(key.revoked_at ? 'status.revoked' : 'status.expired'));
  return button(t('console.apikey_revoke'), {
    look: 'ghost btn-small', 'aria-label': t('console.apikey_revoke_of', { name: key.name }),
    onclick: (event) => working(event.currentTarget, async () => {
      if (!(await confirmed(t('console.apikey_revoke'), t('console.apikey_revoke_sure', { name: key.name }), t('console.apikey_revoke')))) return;
      await remove(`keys/${encodeURIComponent(key.name)}`);
      toast(t('console.saved'));
      again();
    }),
  });
}

async function make(again) {
  const made = await formDialog(t('console.apikey_add'), [
    field(t('console.apikey_name'), h('input', { name: 'name', required: true, maxlength: '63', autofocus: true, autocapitalize: 'off', autocomplete: 'off' })),
    field(t('console.apikey_role'), choice('role', ROLES.map((name) => [name, t(`role.${name}`)]), 'viewer'), t('console.person_role_hint')),
    dayField(t('console.credential_until'), t('console.apikey_until_hint')),
  ], t('console.apikey_add'), (v) => post('keys', { name: v.name.trim(), role: v.role, expires_at: endOf(v.expires_at) }));
  if (!made) return;
  again();
  const call = `curl -H "Authorization: Bearer $KEY" ${location.origin}/api/v1/me`;
  showOnce(t('console.apikey_title', { name: made.key.name }), t('console.apikey_text'), made.token, t('console.apikey_token'),
    codeBlock(call, t('console.apikey_example')));
}
