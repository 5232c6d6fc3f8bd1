/** Grants on the approvals page: what its requester may run again unasked, until when, and its end. */
import { all, remove, serverNow } from './api.js';
import { on } from './bus.js';
import { command, environmentBadge, levelBadge } from './card.js';
import { copier } from './code.js';
import { toast, working } from './dialog.js';
import { button, fill, h, icon } from './dom.js';
import { countdown, listed, t } from './i18n.js';
import { state } from './store.js';

/** Mount the list; it is not there while no grant holds. */
export function mountGrants(root, scope) {
  const load = async () => {
    let grants;
    try {
      grants = await all('grants', 'grants');
    } catch (error) {
      toast(error.message, true);
      return;
    }
    if (!grants.length) return fill(root);
    fill(root, h('section', { class: 'grants', 'aria-label': t('console.grants') },
      h('h2', null, t('console.grants'), h('span', { class: 'count' }, grants.length)),
      h('div', { class: 'cards' }, grants.map((grant) => card(grant, load)))));
  };
  const clock = setInterval(() => {
    for (const timer of root.querySelectorAll('[data-ends]')) tick(timer);
  }, 1000);
  scope.keep(() => clearInterval(clock));
  scope.keep(on('grants', load));
  load();
}

function card(grant, again) {
  const timer = h('span', { class: 'timer', 'data-ends': grant.ends_at });
  tick(timer);
  return h('article', { class: 'card grant', 'data-grant': grant.id },
    h('header', { class: 'card-head' }, icon('clock'), h('h3', null, t('console.grant_title'), ' ', h('span', { class: 'card-code' }, grant.code)), levelBadge(grant.level), timer),
    h('div', { class: 'card-body' },
      h('div', { class: 'command-box' },
        h('div', { class: 'command-bar' }, h('span', null, t('console.card_command')), copier(() => grant.command)), command(grant.command)),
      h('p', null, grant.servers.map((server) => [h('b', null, server.name), ' ', environmentBadge(server.environment), ' '])),
      h('p', { class: 'muted' }, t('console.grant_given', { requester: grant.requester, givers: listed(grant.givers) }))),
    state.me.user.role !== 'viewer' && h('div', { class: 'card-foot' }, h('div', { class: 'decide' }, revoke(grant, again))));
}

function revoke(grant, again) {
  return button(t('console.grant_revoke'), {
    look: 'danger', icon: 'ban', 'aria-label': t('console.grant_revoke_label', { code: grant.code }),
    onclick: (event) => working(event.currentTarget, async () => {
      await remove(`grants/${encodeURIComponent(grant.id)}`);
      toast(t('console.saved'));
      await again();
    }),
  });
}

function tick(timer) {
  const left = Date.parse(timer.dataset.ends) - serverNow();
  timer.textContent = t('console.grant_ends', { left: countdown(Math.max(left, 0)) });
}
