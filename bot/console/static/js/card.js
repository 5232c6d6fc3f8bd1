/** The approval card: drawn from the stored approval only, and changed by the server's events only. */
import { get, serverNow } from './api.js';
import { on } from './bus.js';
import { button, fill, h, icon } from './dom.js';
import { visible } from './escape.js';
import { countdown, listed, short, t, tOr, when } from './i18n.js';
import { codeBlock, copier } from './code.js';
import { working } from './dialog.js';
import { diff } from './diff.js';
import * as outbox from './outbox.js';
import { secondFactor } from './stepup.js';
import { isQuiet, press, say, state, withdraw } from './store.js';

const SETTLE_MS = 400;
const NEAR_PX = 4;
const TITLES = { trust: 'console.card_what', write: 'console.card_change' };
const ACTS = { trust: 'console.act_trust', write: 'console.act_write' };
const ACT_ICONS = { done: 'check', stopped: 'stop', timeout: 'clock', refused: 'ban', failed: 'x' };
const cards = new Set();

on('approval', (id) => redraw((card) => card.id === id));
on('conversations', () => redraw((card) => card.listed !== isListed(state.approvals.get(card.id))));
on('me', () => redraw((card) => state.approvals.get(card.id)?.status === 'pending'));
on('running', () => redraw((card) => state.approvals.get(card.id)?.status === 'pending'));
on('outbox', () => redraw((card) => ['pending', 'expired'].includes(state.approvals.get(card.id)?.status)));
on('connection', () => redraw((card) => state.approvals.get(card.id)?.status === 'pending'));
setInterval(() => {
  for (const card of cards) if (card.node.isConnected) tick(card);
}, 1000);

function redraw(which) {
  for (const card of cards) {
    if (card.drawn && !card.node.isConnected) cards.delete(card);
    else if (which(card)) draw(card);
  }
}

/** Return whether an approval's conversation is among mine: it is opened, undone and asked again from its card. */
const isListed = (approval) => state.conversations.some((one) => one.id === approval?.conversation);

/** Return the level's badge: colour and words. */
export const levelBadge = (level) =>
  h('span', { class: `badge level level-${level}` }, `L${level} · ${t(`level.${level}`)}`);

/** Return an environment's badge. */
export const environmentBadge = (name) =>
  h('span', { class: `badge env env-${name}` }, tOr(`environment.${name}`, name));

/** Return a command whole: every hidden character and line break shown. */
export function command(text) {
  const code = h('code');
  code.append(...visible(text, { breaks: true }));
  return h('pre', { class: 'command', tabindex: '0', 'aria-label': t('console.card_command') }, code);
}

/** Return the card of an approval. fresh: it has just come in, so its buttons rest for a blink. */
export function approvalCard(approval, { fresh = false, away = null } = {}) {
  const node = h('article', { class: 'card', 'data-approval': approval.id });
  const card = { id: approval.id, node, away, resting: fresh, read: false, long: false, drawn: false };
  cards.add(card);
  draw(card);
  if (fresh) {
    setTimeout(() => {
      card.resting = false;
      draw(card);
    }, SETTLE_MS);
  }
  requestAnimationFrame(() => { card.drawn = true; });
  return node;
}

function draw(card) {
  const approval = state.approvals.get(card.id);
  if (!approval) return;
  const { node } = card;
  card.listed = isListed(approval);
  const held = node.contains(document.activeElement) ? document.activeElement.dataset.press : null;
  node.setAttribute('aria-label', t('console.card_label', { code: approval.code, status: t(`status.${approval.status}`) }));
  node.className = `card card-${approval.status} card-level-${approval.level}`;
  // What an approval is about never changes: it is drawn once, so that scrolling and selection stay.
  if (!card.foot) {
    card.head = h('header', { class: 'card-head' });
    card.foot = h('div', { class: 'card-foot' });
    fill(node, card.head, subject(approval), card.foot);
    watchReading(card);
  }
  fill(card.head, head(approval, card));
  fill(card.foot, approval.status === 'pending' ? pending(approval, card) : outcome(approval));
  tick(card);
  if (held) node.querySelector(`[data-press="${held}"]`)?.focus();
}

/** A long command lies in a box that scrolls: Approve rests until its end was in view. */
function watchReading(card) {
  const box = card.node.querySelector('.command');
  const look = () => {
    if (card.read || !box.clientHeight) return;
    const known = card.long;
    card.read = box.scrollTop + box.clientHeight >= box.scrollHeight - NEAR_PX;
    card.long = !card.read;
    if (card.read) watcher.disconnect();
    if (card.read || !known) draw(card);
  };
  const watcher = new ResizeObserver(look); // tells of the first layout too
  watcher.observe(box);
  box.addEventListener('scroll', look, { passive: true });
}

function head(approval, card) {
  const asks = approval.kind === 'trust' ? 'console.card_trust' : 'console.card_run';
  const title = approval.status === 'pending' ? asks : 'console.card_settled';
  return [
    icon('shield'),
    h('h3', null, t(title), ' ', h('span', { class: 'card-code' }, approval.code)),
    levelBadge(approval.level),
    approval.status === 'pending'
      ? h('span', { class: 'timer', 'data-timer': '' })
      : h('span', { class: `badge state state-${approval.status}` }, t(`status.${approval.status}`)),
    card.away && card.listed &&
      h('a', { class: 'card-away', href: `#/chat/${approval.conversation}` }, t('console.card_open')),
  ];
}

function subject(approval) {
  const lines = approval.command.split('\n').length;
  const long = approval.command.length > 400 || lines > 6;
  return h('div', { class: 'card-body' },
    h('div', { class: 'command-box' },
      h('div', { class: 'command-bar' },
        h('span', null, t(TITLES[approval.kind] || 'console.card_command'),
          long && ` · ${t('console.card_size', { characters: [...approval.command].length, lines })}`),
        long && button(t('console.card_download'), { look: 'ghost btn-small', onclick: () => download(`${approval.code}.txt`, approval.command) }),
        copier(() => approval.command)),
      approval.kind === 'write' ? diff(approval.command) : command(approval.command)),
    h('dl', { class: 'facts' },
      h('dt', null, t('console.card_servers', { count: approval.servers.length })),
      h('dd', null, h('ul', { class: 'targets' }, approval.servers.map(target))),
      approval.reasons.length > 0 && [
        h('dt', null, t('console.card_reasons')),
        h('dd', null, h('ul', { class: 'reasons' }, approval.reasons.map((reason) => h('li', null, reason))),
          approval.kind === 'run' && approval.part && approval.part !== approval.command &&
            h('p', { class: 'part' }, t('console.card_part'), ' ', partOf(approval.part)))],
      approval.effects.length > 0 && [
        h('dt', null, t('console.card_effects')),
        h('dd', null, h('ul', { class: 'effects' }, approval.effects.map((effect) => h('li', null, effect))))],
      approval.rationale && [
        h('dt', null, t('console.card_model')),
        h('dd', null, h('q', { class: 'rationale' }, approval.rationale))],
      approval.status === 'pending' && waits(approval),
      h('dt', null, t('console.card_requester')),
      h('dd', null, h('b', null, approval.requester), ' · ', when(approval.created_at, true),
        approval.read && h('p', { class: 'muted read' }, approval.read))),
    h('details', { class: 'digest' },
      h('summary', null, t('console.card_digest')),
      h('p', null, t('console.card_digest_hint')),
      h('code', null, approval.digest),
      h('p', null, t('console.card_hash')),
      h('code', null, approval.sha256)));
}

/** Who decides, and what happens if nobody does: the card's style hides it once somebody has. */
function waits(approval) {
  const at = short(approval.expires_at, true);
  return [['console.card_deciders', approval.deciders],
    ['console.card_then', t(approval.goes_ahead ? 'console.card_goes_ahead' : 'console.card_lapses', { at })]]
    .map(([key, words]) => [h('dt', { class: 'waits' }, t(key)), h('dd', { class: 'waits' }, words)]);
}

/** Keep a long command as a file, byte by byte what the hash is of. */
function download(name, text) {
  const link = h('a', { href: URL.createObjectURL(new Blob([text], { type: 'text/plain' })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

function partOf(text) {
  const code = h('code', { class: 'part-code' });
  code.append(...visible(text, { breaks: true }));
  return code;
}

const target = (server) =>
  h('li', null, h('b', null, server.name), h('code', null, addressOf(server)),
    server.jump && h('span', { class: 'muted' }, t('console.server_via', { jump: server.jump })),
    server.environment && environmentBadge(server.environment));

/** Return user@host:port; an IPv6 address stands in brackets. */
function addressOf({ user, host, port }) {
  const shown = host.includes(':') && port ? `[${host}]` : host;
  return `${user ? `${user}@` : ''}${shown}${port ? `:${port}` : ''}`;
}

function pending(approval, card) {
  const approve = `approve:${approval.id}`;
  const grant = `grant:${approval.id}`;
  const reject = `reject:${approval.id}`;
  const now = { approve: outbox.pressed(approve), grant: outbox.pressed(grant), reject: outbox.pressed(reject) };
  const busy = now.approve || now.grant || now.reject;
  const online = state.connection.state === 'open';
  const error = state.cardErrors.get(approval.id);
  const minutes = { minutes: approval.grant_minutes, requester: approval.requester };
  const label = (which, key) => {
    if (now[which] === 'taken') return t('console.taken');
    if (now[which]) return t(online ? 'console.sending' : 'console.will_be_sent');
    return t(key, minutes);
  };
  const halted = state.me.halted_by;
  const voted = approval.voters.includes(state.me.user.name);
  const one = (which, key, look, name) =>
    button(label(which, key), {
      look: `${look} btn-big`, icon: name, 'data-press': which,
      disabled: Boolean(busy) || card.resting || (which !== 'reject' && (Boolean(halted) || !card.read)),
      'aria-label': busy ? null : t(`console.${which}_label`, { code: approval.code, ...minutes }),
      onclick: () => press(`${which}:${approval.id}`),
    });
  return [
    approval.needed > 1 && votes(approval),
    error && h('p', { class: 'card-error', role: 'alert' }, icon('alert'), error.message),
    error?.why === 'approval.step_up_enrol' && h('div', { class: 'decide' },
      button(t('console.totp_set_up'), { icon: 'key', 'data-press': 'enrol', onclick: (event) => working(event.currentTarget, secondFactor) })),
    halted && approval.may_decide && !voted && h('p', { class: 'card-error' }, icon('halt'), t('console.card_halted', { name: halted })),
    voted && h('p', { class: 'why-not' }, icon('check'), t('console.card_voted')),
    approval.may_decide && !voted && card.long && h('p', { class: 'why-not unread' }, icon('alert'), t('console.card_unread')),
    approval.may_decide && !voted && h('div', { class: 'decide' },
      one('approve', approval.kind === 'trust' ? 'console.approve_trust' : 'console.approve', 'primary', 'check'),
      approval.grant_minutes > 0 && one('grant', 'console.grant', 'plain', 'clock'),
      one('reject', 'console.reject', 'danger', 'x')),
    approval.may_decide && !voted && approval.grant_minutes > 0 && h('p', { class: 'grant-means' }, t('console.grant_hint', minutes)),
    !approval.may_decide && h('p', { class: 'why-not' }, icon('people'), approval.why_not || t('console.card_not_yours')),
    !approval.may_decide && !card.away && withdrawal(approval),
  ];
}

/** What the requester may do beside waiting: the same as Stop does where nothing runs. */
function withdrawal(approval) {
  if (approval.requester !== state.me.user.name || !isQuiet(approval.conversation)) return null;
  const asked = outbox.entries().some((one) => one.message.type === 'stop' && one.message.conversation === approval.conversation);
  return h('div', { class: 'decide' }, button(t(asked ? 'console.sending' : 'console.withdraw'), {
    icon: 'back', disabled: asked, title: t('console.withdraw_hint'), 'data-press': 'withdraw',
    onclick: () => withdraw(approval.conversation),
  }));
}

function votes(approval) {
  const pips = Array.from({ length: Math.min(approval.needed, 12) }, (_, n) =>
    h('span', { class: n < approval.approvals ? 'pip pip-on' : 'pip' }));
  return h('p', { class: 'votes' }, h('span', { class: 'pips', 'aria-hidden': 'true' }, pips),
    t('console.card_votes', { approvals: approval.approvals, needed: approval.needed }),
    approval.voters.length > 0 && h('span', { class: 'voters' },
      t(approval.status === 'pending' ? 'console.card_voters' : 'console.card_voters_all', { names: listed(approval.voters) })));
}

function outcome(approval) {
  const names = { approved: 'check', rejected: 'x', expired: 'clock', cancelled: 'ban' };
  const at = approval.settled_at ? short(approval.settled_at, true) : '';
  const by = approval.settled_by;
  const status = approval.went_ahead ? 'went_ahead' : approval.status;
  const key = by ? `console.outcome_${status}_by` : `console.outcome_${status}`;
  const late = state.cardErrors.get(approval.id);
  return [
    late?.why?.startsWith('approval.was_') && h('p', { class: 'card-error', role: 'alert' }, icon('alert'), late.message),
    h('p', { class: `outcome outcome-${approval.status}` }, icon(names[approval.status]), t(key, { name: by, at })),
    approval.act && act(approval),
    approval.needed > 1 && votes(approval),
    approval.status === 'approved' && approval.kind !== 'trust' && ran(approval.id),
    approval.kind === 'write' && approval.act?.state === 'done' && isListed(approval) && undo(approval),
    approval.status === 'expired' && approval.kind !== 'trust' && isListed(approval) && again(approval),
  ];
}

/** What nobody decided in time is asked for anew by one press, in its own conversation. */
function again({ id, code }) {
  const value = `again:${id}`;
  const busy = outbox.pressed(value);
  return h('div', { class: 'decide' }, button(t(busy ? 'console.sending' : 'console.again'), {
    icon: 'clock', disabled: Boolean(busy), 'data-press': 'again', 'aria-label': busy ? null : t('console.again_label', { code }),
    onclick: () => press(value),
  }));
}

/** A change that was made is taken back by a word in its own conversation; that is asked for as well. */
function undo({ code, conversation }) {
  return h('div', { class: 'decide' }, button(t('console.undo'), {
    icon: 'back', title: t('console.undo_hint'), 'data-press': 'undo',
    onclick: () => say(conversation, conversation, `/undo ${code}`),
  }));
}

/** How the approved act stands: under way, or what it came to. */
function act({ kind, act: { state: how, exit_code: code, why } }) {
  const sign = how === 'running' ? h('span', { class: 'spinner' }) : icon(ACT_ICONS[how] || 'alert');
  const words = how === 'exit' && kind === 'write' ? 'not_made' : how; // a failed write says why in the reply
  return h('p', { class: `act act-${how}` }, sign,
    t(ACTS[kind] || 'console.act', { how: t(`status.${words}`, { code }) }), why && ` · ${why}`);
}

/** What the approved command came to, read when somebody opens it. */
function ran(id) {
  const place = h('div', { class: 'run' });
  const load = async () => {
    fill(place, h('p', { class: 'muted' }, t('console.loading')));
    try {
      const { targets } = await get(`runs/${encodeURIComponent(id)}`);
      fill(place, targets.map(result), button(t('console.reload'), { look: 'ghost btn-small', onclick: load }));
    } catch (error) {
      fill(place, h('p', { class: 'muted' }, error.status === 404 ? t('console.run_none') : error.message));
    }
  };
  return h('details', { class: 'result', ontoggle: (event) => event.target.open && load() },
    h('summary', null, icon('chevron', 'turn'), t('console.run_show')), place);
}

function result(one) {
  const ended = one.exit_code !== null && one.exit_code !== undefined;
  const facts = [!(ended && one.exit_code) && tOr(`status.${one.state}`, one.state),
    ended && t('console.run_exit', { code: one.exit_code }),
    one.duration_ms && t('console.run_took', { seconds: (one.duration_ms / 1000).toFixed(1) }),
    one.dropped > 0 && t('console.run_dropped', { bytes: one.dropped })].filter(Boolean);
  return h('section', null,
    h('p', null, h('b', null, one.server), ` · ${facts.join(' · ')}`),
    one.stdout && codeBlock(one.stdout, 'stdout'),
    one.stderr && codeBlock(one.stderr, 'stderr'));
}

function tick(card) {
  const timer = card.node.querySelector('[data-timer]');
  const approval = state.approvals.get(card.id);
  if (!timer || !approval) return;
  const left = Date.parse(approval.expires_at) - serverNow();
  timer.classList.toggle('timer-soon', left < 60_000);
  timer.textContent = left > 0 ? t('console.card_expires', { left: countdown(left) }) : t('console.card_time_up');
}
