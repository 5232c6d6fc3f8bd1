/** People: who may sign in and what they may do. */
import { all, patch, post, remove } from './api.js';
import { choice, confirmed, field, formDialog, showOnce, toast, working } from './dialog.js';
import { button, h } from './dom.js';
import { lang, t } from './i18n.js';
import { loading, page, table } from './page.js';
import { state } from './store.js';
import { tabs } from './views.js';

const ROLES = ['viewer', 'operator', 'admin'];
const roles = () => ROLES.map((name) => [name, t(`role.${name}`)]);

/** Mount the page. */
export function mountPeople(root) {
  const place = h('div');
  const again = () => loading(place, list);
  root.append(page(t('console.nav_people'),
    button(t('console.person_add'), { look: 'primary', icon: 'plus', onclick: () => invite(again) }),
    tabs('people'), h('p', { class: 'muted' }, t('console.people_hint')), place));
  again();

  async function list() {
    const users = await all('users', 'users');
    const columns = ['name', 'role', 'language', 'state', 'actions'].map((name) => t(`console.person_${name}`));
    return table(t('console.nav_people'), columns, users.map((user) => person(user, again)));
  }
}

const path = (user) => `users/${encodeURIComponent(user.name)}`;

function person(user, again) {
  const self = user.id === state.me.user.id;
  const pick = choice('role', roles(), user.role, {
    'aria-label': t('console.person_role_of', { name: user.name }), disabled: self || !user.active,
    onchange: async () => {
      const role = pick.value;
      const sure = await confirmed(t('console.person_role_change'),
        t('console.person_role_sure', { name: user.name, role: t(`role.${role}`) }), t('console.change'), { danger: false });
      if (sure) await working(pick, async () => { await patch(path(user), { role }); toast(t('console.saved')); });
      again();
    },
  });
  const set = async (active) => {
    if (!active) {
      const sure = await confirmed(t('console.person_deactivate'), t('console.person_deactivate_sure', { name: user.name }),
        t('console.person_deactivate'));
      if (!sure) return;
    }
    await patch(path(user), { active });
    again();
  };
  return [
    h('span', null, h('b', null, user.name), self && h('span', { class: 'muted' }, ` (${t('console.you')})`)),
    pick, t(`console.language_${user.language}`),
    h('span', { class: `badge state ${user.active ? 'state-approved' : 'state-cancelled'}` },
      t(user.active ? 'status.active' : 'status.inactive')),
    h('div', { class: 'row-actions' },
      user.active && button(t('console.person_link'), {
        look: 'plain btn-small', icon: 'key',
        onclick: (event) => working(event.currentTarget, async () => showLink(user.name, await post(`${path(user)}/link`))),
      }),
      user.active && button(t('console.person_code'), {
        look: 'plain btn-small', icon: 'chat',
        onclick: (event) => working(event.currentTarget, async () => showCode(user.name, await post(`${path(user)}/pairing-code`))),
      }),
      !self && user.second_factor && button(t('console.totp_take_away'), {
        look: 'ghost btn-small', onclick: (event) => working(event.currentTarget, () => takeAway(user, again)),
      }),
      !self && button(t(user.active ? 'console.person_deactivate' : 'console.person_activate'), {
        look: 'ghost btn-small', onclick: (event) => working(event.currentTarget, () => set(!user.active)),
      })),
  ];
}

/** A phone was lost: its person may set up another second factor. */
async function takeAway(user, again) {
  const sure = await confirmed(t('console.totp_take_away'), t('console.totp_take_away_sure', { name: user.name }), t('console.totp_take_away'));
  if (!sure) return;
  await remove(`${path(user)}/totp`);
  toast(t('console.saved'));
  again();
}

async function invite(again) {
  const made = await formDialog(t('console.person_add'), [
    field(t('console.person_name'), h('input', { name: 'name', required: true, maxlength: '64', autofocus: true, autocapitalize: 'off' })),
    field(t('console.person_role'), choice('role', roles(), 'operator'), t('console.person_role_hint')),
    field(t('console.person_language'), choice('language', state.me.languages.map((l) => [l, t(`console.language_${l}`)]), lang())),
  ], t('console.person_add'), (values) => post('users', { ...values, name: values.name.trim() }));
  if (!made) return;
  again();
  showLink(made.user.name, made);
}

/** Show a one-time link: it is there once, and works once. */
const showLink = (name, { link, minutes }) =>
  showOnce(t('console.link_title', { name }), t('console.link_text', { name, minutes }), link, t('console.link_label'));

/** Show a pairing code: whoever sends it to the bot first is this person there. */
const showCode = (name, { code, minutes }) =>
  showOnce(t('console.code_title', { name }), t('console.code_text', { name, minutes }), code, t('console.code_label'));
