/** Credentials: what opens servers. A secret goes in here and never comes back out. */
import { all, post, remove } from './api.js';
import { choice, confirmed, field, formDialog, toast } from './dialog.js';
import { button, h } from './dom.js';
import { t, when } from './i18n.js';
import { loading, table } from './page.js';

/** The section below the servers. */
export function credentialSection() {
  const place = h('div');
  const again = () => loading(place, () => list(again));
  again();
  return h('section', null,
    h('header', { class: 'page-head' }, h('h2', null, t('console.credentials')),
      button(t('console.credential_add'), { icon: 'plus', onclick: async () => { if (await addCredential()) again(); } })),
    place);
}

async function list(again) {
  const credentials = await all('credentials', 'credentials');
  if (!credentials.length) return h('p', { class: 'muted' }, t('console.credentials_none'));
  const columns = ['name', 'kind', 'fingerprint', 'created', 'used', 'expires', 'actions'].map((name) => t(`console.credential_${name}`));
  return table(t('console.credentials'), columns, credentials.map((one) => [
    h('b', null, one.name), t(`console.kind_${one.kind}`), one.fingerprint && h('code', { class: 'wrap' }, one.fingerprint),
    when(one.created_at), one.used_at ? when(one.used_at) : '—', one.expires_at ? when(one.expires_at) : '—',
    one.revoked
      ? h('span', { class: 'badge state state-cancelled' }, t('status.revoked'))
      : button(t('console.credential_revoke'), { look: 'ghost btn-small', onclick: () => revoke(one, again) }),
  ]));
}

async function revoke(one, again) {
  const sure = await confirmed(t('console.credential_revoke'), t('console.credential_revoke_sure', { name: one.name }),
    t('console.credential_revoke'));
  if (!sure) return;
  try {
    await remove(`credentials/${encodeURIComponent(one.name)}`);
    toast(t('console.saved'));
  } catch (error) {
    toast(error.message, true);
  }
  again();
}

/** Take a new credential in; resolves with its name and fingerprint. */
export function addCredential() {
  const quiet = { autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off' };
  const key = h('textarea', { name: 'secret', rows: '6', class: 'mono', required: true, placeholder: '-----BEGIN OPENSSH PRIVATE KEY-----', ...quiet });
  const password = h('input', { name: 'secret', type: 'password', required: true, disabled: true, autocomplete: 'new-password' });
  const file = h('input', {
    type: 'file', 'aria-label': t('console.credential_file'),
    onchange: async () => {
      if (file.files[0]) key.value = await file.files[0].text();
      file.value = '';
    },
  });
  const keyField = h('div', { class: 'fields' }, field(t('console.credential_key'), key, t('console.credential_key_hint')),
    field(t('console.credential_file'), file));
  const passwordField = field(t('console.kind_ssh_password'), password);
  passwordField.hidden = true;
  const kind = choice('kind', ['ssh_key', 'ssh_password'].map((name) => [name, t(`console.kind_${name}`)]), 'ssh_key', {
    onchange: () => {
      const isKey = kind.value === 'ssh_key';
      keyField.hidden = !isKey;
      passwordField.hidden = isKey;
      key.disabled = !isKey;
      password.disabled = isKey;
    },
  });
  return formDialog(t('console.credential_add'), [
    h('p', { class: 'muted' }, t('console.credential_text')),
    field(t('console.credential_name'), h('input', { name: 'name', required: true, maxlength: '64', autofocus: true, ...quiet })),
    field(t('console.credential_kind'), kind), keyField, passwordField,
  ], t('console.credential_add'), async (v) => {
    const answer = await post('credentials', { name: v.name.trim(), kind: v.kind, secret: v.secret });
    key.value = '';
    password.value = '';
    return { name: v.name.trim(), ...answer };
  });
}
