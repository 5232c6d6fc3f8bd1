/** Events to DOM: what was said, the steps of a turn, replies, cards. Draws each event once. */
import { approvalCard, command } from './card.js';
import { button, h, icon } from './dom.js';
import { output, words } from './escape.js';
import { t, tOr, when } from './i18n.js';
import { parts, prose } from './markup.js';
import * as outbox from './outbox.js';
import { press, state } from './store.js';

const LIVE_LIMIT = 64_000;
const STATUS_ICONS = { done: 'check', approved: 'check', rejected: 'x', cancelled: 'ban', waiting: 'pause', refused: 'ban', failed: 'x', stopped: 'stop' };

/** Draws one conversation's events. */
export class Timeline {
  steps = new Map();
  said = new Map();
  #orphans = new Map();
  #draft = null;
  #thinking = null;

  constructor(thread) {
    this.thread = thread;
  }

  /** Return an event's element, or null where there is nothing new to show. fresh: it has just happened. */
  draw(event, fresh = false) {
    const { kind, body } = event;
    if (kind === 'said') return this.#said(event);
    if (kind === 'tool') return this.#step(event);
    if (kind === 'result') return this.#result(event);
    if (kind === 'reply' || kind === 'notice') return this.#spoken(event);
    if (kind === 'card' && body.approval) return this.#card(event, fresh);
    if (kind === 'settled' && body.approval) this.#decided(body.approval.id);
    if (kind === 'steered') for (const seq of body.seqs) this.said.get(seq)?.classList.add('steered');
    return null;
  }

  #said({ seq, user, at, body }) {
    const own = user === state.me.user.name;
    const node = h('div', { class: `entry said${own ? ' own' : ''}`, 'data-seq': seq },
      h('div', { class: 'meta' }, user || t('console.someone'), ' · ', when(at)),
      h('div', { class: 'bubble' }, body.text),
      h('div', { class: 'steered-note' }, icon('check'), t('console.steered')));
    this.said.set(seq, node);
    return node;
  }

  #spoken({ kind, at, turn, body }) {
    if (kind === 'reply' && (!turn || turn === this.#draft?.turn || !this.thread.running)) this.clearLive();
    const buttons = (body.buttons || []).map((one) => actionButton(one));
    return h('div', { class: `entry spoken ${kind}` },
      h('div', { class: 'meta' }, 'it0 · ', when(at)),
      h('div', { class: 'prose' }, parts(body.parts)),
      buttons.length > 0 && h('div', { class: 'actions' }, buttons));
  }

  #step({ turn, at, body }) {
    const step = { turn, no: body.no, status: 'running', at, written: 0 };
    step.mark = h('span', { class: 'step-mark' });
    step.word = h('span', { class: 'step-word' });
    step.live = h('pre', { class: 'output live', hidden: true });
    step.results = h('div', { class: 'step-results' });
    step.node = h('details', { class: 'step' },
      h('summary', null, step.mark, h('span', { class: 'step-title' }, body.title || body.tool), step.word,
        icon('chevron', 'turn')),
      h('div', { class: 'step-body' }, callOf(body), step.live, step.results));
    step.node.firstChild.addEventListener('click', () => { step.touched = true; });
    const key = `${turn}:${body.no}`;
    this.steps.set(key, step);
    this.#mark(step, 'running');
    const orphan = this.#orphans.get(key);
    if (orphan) this.#result(orphan);
    return h('div', { class: 'entry entry-step' }, step.node);
  }

  #result(event) {
    const { turn, at, body } = event;
    const step = this.steps.get(`${turn}:${body.no}`);
    if (!step) {
      this.#orphans.set(`${turn}:${body.no}`, event);
      return null;
    }
    step.took = Date.parse(at) - Date.parse(step.at);
    step.results.replaceChildren(...parts(body.parts).flat());
    step.live.hidden = step.results.childNodes.length > 0;
    this.#mark(step, body.status);
    if (!step.touched) step.node.open = false;
    return null;
  }

  /** A card belongs to the step that asked for it. */
  #card({ turn, body }, fresh) {
    for (const step of this.steps.values()) {
      if (step.turn === turn && step.status === 'running') step.approval = body.approval.id;
    }
    return h('div', { class: 'entry entry-card' }, approvalCard(body.approval, { fresh }));
  }

  /** The step that waited shows the decision; what came of it is the reply's to say. */
  #decided(id) {
    for (const step of this.steps.values()) if (step.approval === id && step.status === 'waiting') this.#mark(step, 'waiting');
  }

  #mark(step, given) {
    const decision = given === 'waiting' && state.approvals.get(step.approval)?.status;
    const status = decision && decision !== 'pending' ? decision : given;
    step.status = status;
    step.node.className = `step step-${status}`;
    step.mark.replaceChildren(status === 'running' ? h('span', { class: 'spinner' }) : icon(STATUS_ICONS[status] || 'clock'));
    const seconds = given !== 'waiting' && step.took >= 1000 ? ` · ${(step.took / 1000).toFixed(1)} s` : '';
    step.word.textContent = tOr(`status.${status}`, status) + seconds;
  }

  /** What no longer runs and has no result was cut off. */
  settleSteps(running) {
    for (const step of this.steps.values()) {
      if (step.status === 'running' && step.turn !== running) this.#mark(step, 'stopped');
      else if (step.status === 'stopped' && step.turn === running) this.#mark(step, 'running');
    }
  }

  /** Show a live piece. Returns what is new on the page, if anything. */
  live(message) {
    const { kind, data, turn } = message;
    if (kind === 'output') return this.#liveOutput(turn, data);
    if (kind === 'text') {
      this.#draft ||= { turn, text: '', node: h('div', { class: 'prose drafting' }) };
      this.#draft.text += data.text ?? '';
      this.#draft.node.replaceChildren(...prose(this.#draft.text));
      return this.#draft.node;
    }
    if (kind === 'thinking') {
      this.#thinking ||= h('details', { class: 'thinking' },
        h('summary', null, icon('chevron', 'turn'), t('console.thinking')), h('div', { class: 'muted' }));
      this.#thinking.lastChild.append(words(data.text ?? ''));
      return this.#thinking;
    }
    return null;
  }

  #liveOutput(turn, data) {
    const all = [...this.steps.values()].reverse();
    const step = this.steps.get(`${turn}:${data.step}`) ||
      all.find((one) => one.no === data.step && ['approved', 'waiting', 'running'].includes(one.status));
    if (!step) return null;
    step.live.hidden = false;
    if (!step.touched) step.node.open = true;
    const many = data.server && step.server !== undefined && step.server !== data.server;
    if (many) step.live.append(h('span', { class: 'live-server' }, `\n— ${data.server} —\n`));
    step.server = data.server;
    step.live.append(...output(data.text ?? ''));
    step.written += (data.text ?? '').length;
    while (step.written > LIVE_LIMIT && step.live.childNodes.length > 1) {
      step.written -= step.live.firstChild.textContent.length;
      step.live.firstChild.remove();
    }
    step.live.scrollTop = step.live.scrollHeight;
    return null;
  }

  /** Take the live pieces away: the stored reply is here, or nothing runs any more. */
  clearLive() {
    this.#draft?.node.remove();
    this.#thinking?.remove();
    this.#draft = null;
    this.#thinking = null;
  }
}

/** What a step was called with. */
function callOf({ tool, arguments: given = {} }) {
  const rest = { ...given };
  const shown = [];
  if (typeof rest.command === 'string') {
    shown.push(command(rest.command));
    delete rest.command;
  }
  if (Object.keys(rest).length) {
    const pre = h('pre', { class: 'arguments' });
    const brief = JSON.stringify(rest);
    pre.append(...output(brief.length > 90 ? JSON.stringify(rest, null, 2) : brief));
    shown.push(pre);
  }
  return h('div', { class: 'call' }, h('span', { class: 'tool-name' }, tool), shown);
}

/** A button that a message carries; pressed once, it rests until the server has it. */
function actionButton({ label, value, style }) {
  const look = { primary: 'primary', danger: 'danger' }[style] || 'plain';
  return button(label, { look, 'data-value': value, 'data-label': label, onclick: () => press(value) });
}

/** Bring the message buttons in line with the outbox. */
export function refreshButtons(root) {
  for (const node of root.querySelectorAll('[data-value]')) {
    const how = outbox.pressed(node.dataset.value);
    const online = state.connection.state === 'open';
    const busy = how === 'taken' ? 'console.taken' : online ? 'console.sending' : 'console.will_be_sent';
    node.disabled = Boolean(how);
    node.textContent = how ? t(busy) : words(node.dataset.label);
  }
}
