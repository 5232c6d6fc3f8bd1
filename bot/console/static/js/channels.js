/** Channels: the tenant's bots on platforms. A token goes in here and never comes back out. */
import { all, post, remove } from './api.js';
import { confirmed, field, formDialog, toast, working } from './dialog.js';
import { button, h } from './dom.js';
import { t, tOr, when } from './i18n.js';
import { emptyState, loading, page, table } from './page.js';
import { tabs } from './views.js';

/** Mount the page. */
export function mountChannels(root) {
  const place = h('div');
  const again = () => loading(place, list);
  const add = () => button(t('console.bot_add'), { look: 'primary', icon: 'plus', onclick: () => addBot(again) });
  root.append(page(t('console.nav_channels'), add(), tabs('channels'), h('p', { class: 'muted' }, t('console.bots_hint')), place));
  again();

  async function list() {
    const bots = await all('channels', 'channels');
    if (!bots.length) return emptyState('chat', t('console.bots_none'), add());
    const columns = ['id', 'channel', 'created', 'actions'].map((name) => t(`console.bot_${name}`));
    return table(t('console.nav_channels'), columns, bots.map((bot) => [
      h('b', null, bot.id), tOr(`console.channel.${bot.channel}`, bot.channel), when(bot.created_at),
      button(t('console.bot_remove'), { look: 'ghost btn-small', onclick: (event) => working(event.currentTarget, () => drop(bot, again)) }),
    ]));
  }
}

async function drop(bot, again) {
  if (!(await confirmed(t('console.bot_remove'), t('console.bot_remove_sure', { name: bot.id }), t('console.bot_remove')))) return;
  await remove(`channels/${encodeURIComponent(bot.id)}`);
  toast(t('console.saved'));
  again();
}

async function addBot(again) {
  const token = h('input', { name: 'token', type: 'password', required: true, autofocus: true, autocomplete: 'off', spellcheck: 'false' });
  try {
    const made = await formDialog(t('console.bot_add'), [
      h('p', null, t('console.bot_text')), field(t('console.bot_token'), token, t('console.bot_token_hint')),
    ], t('console.bot_add'), (v) => post('channels', { channel: 'telegram', token: v.token.trim() }));
    if (!made) return;
    toast(t('console.saved'));
    again();
  } finally {
    token.value = '';
  }
}
