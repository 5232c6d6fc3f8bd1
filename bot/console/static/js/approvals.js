/** The approvals page: what waits, as the same cards as in the chat, then what was decided. */
import { get, withCursor } from './api.js';
import { on } from './bus.js';
import { approvalCard, levelBadge } from './card.js';
import { add, fill, h, icon } from './dom.js';
import { visible } from './escape.js';
import { t, when } from './i18n.js';
import { mountGrants } from './grants.js';
import { emptyState, loading, page } from './page.js';
import { refreshActs, refreshApprovals, state, takeApproval } from './store.js';
import { tabs } from './views.js';

const ACTS_MS = 3000;
const PAST = 50; // so many at least are read, if there are as many

/** Mount the page. */
export function mountApprovals(root, scope) {
  const waiting = h('div', { class: 'cards' });
  const history = h('div', { class: 'history' });
  const heading = h('h2', null, t('console.approvals_pending'));
  const grants = h('div');
  const shown = new Map();
  root.append(page(t('console.nav_approvals'), null, tabs('approvals'),
    h('section', { 'aria-label': t('console.approvals_pending') }, heading, waiting),
    grants,
    h('section', null, h('h2', null, t('console.approvals_history')), history)));

  /** Cards stay where they are when they are decided, until the page is opened again. */
  function draw() {
    const now = state.pending.filter((id) => state.approvals.has(id));
    for (const id of now) {
      if (shown.has(id)) continue;
      const node = approvalCard(state.approvals.get(id), { fresh: shown.size > 0, away: true });
      if (!shown.size) fill(waiting);
      shown.set(id, node);
      add(waiting, node);
    }
    const open = now.filter((id) => state.approvals.get(id).status === 'pending').length;
    fill(heading, t('console.approvals_pending'), h('span', { class: 'count' }, open));
    if (!shown.size) fill(waiting, emptyState('shield', t('console.approvals_none')));
  }

  scope.keep(on('approvals', draw));
  mountGrants(grants, scope);
  const acts = setInterval(refreshActs, ACTS_MS);
  scope.keep(() => clearInterval(acts));
  draw();
  refreshApprovals();
  loading(history, async () => {
    const past = await decided();
    return past.length ? h('ul', { class: 'past' }, past.map(line)) : h('p', { class: 'muted' }, t('console.approvals_no_history'));
  });
}

/** Return the newest decided ones, also where as many still wait as fill several pages. */
async function decided() {
  const past = [];
  for (let cursor = ''; cursor !== null && past.length < PAST; ) {
    const answer = await get(withCursor('approvals', cursor));
    for (const approval of answer.approvals) takeApproval(approval);
    past.push(...answer.approvals.filter((approval) => approval.status !== 'pending'));
    cursor = answer.next;
  }
  return past;
}

/** One decided approval; its whole card unfolds. */
function line(approval) {
  const brief = h('code', { class: 'brief' });
  brief.append(...visible(approval.command, { breaks: true }));
  const place = h('div');
  return h('li', null, h('details', {
    ontoggle: (event) => { if (event.target.open && !place.firstChild) place.append(approvalCard(approval, { away: true })); },
  },
  h('summary', null, icon('chevron', 'turn'),
    h('span', { class: `badge state state-${approval.status}` }, t(`status.${approval.status}`)),
    approval.act && h('span', { class: `act act-${approval.act.state}` }, t(`status.${approval.act.state}`, { code: approval.act.exit_code })),
    h('span', { class: 'card-code' }, approval.code), brief, levelBadge(approval.level),
    h('span', { class: 'muted' }, approval.settled_by, approval.settled_by && ' · ', when(approval.settled_at || approval.created_at))),
  place));
}
