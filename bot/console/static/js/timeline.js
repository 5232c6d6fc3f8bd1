/** Events to DOM: what was said, the steps of a turn, replies, cards. Draws each event once. */
import { said as saidOf } from './attached.js';
import { approvalCard, command } from './card.js';
import { cutMark } from './code.js';
import { button, h, icon } from './dom.js';
import { output, words } from './escape.js';
import { t, tOr, when } from './i18n.js';
import { parts } from './markup.js';
import * as outbox from './outbox.js';
import { prose } from './prose.js';
import { press, state } from './store.js';

const LIVE_LIMIT = 64_000;
const STATUS_ICONS = {
  done: 'check', rejected: 'x', cancelled: 'ban', waiting: 'pause', refused: 'ban', failed: 'x', stopped: 'stop', exit: 'alert', unknown: 'alert',
};

/** Draws one conversation's events. */
export class Timeline {
  steps = new Map();
  said = new Map();
  #orphans = new Map();
  #places = new Map();
  #draft = null;
  #thinking = null;
  #note = null;

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
    if (kind === 'message') return this.#thought(event);
    if (kind === 'card' && body.approval) return this.#card(event, fresh);
    if (body.approval) this.decided(body.approval.id);
    if (kind === 'steered') for (const seq of body.seqs) this.said.get(seq)?.classList.add('steered');
    return null;
  }

  #said({ seq, user, at, body }) {
    const own = user === state.me.user.name;
    const node = h('div', { class: `entry said${own ? ' own' : ''}`, 'data-seq': seq },
      h('div', { class: 'meta' }, user || t('console.someone'), ' · ', when(at)),
      h('div', { class: 'bubble' }, saidOf(body.text)),
      h('div', { class: 'steered-note' }, icon('check'), t('console.steered')));
    this.said.set(seq, node);
    return node;
  }

  #spoken({ kind, at, turn, body }) {
    if (kind === 'reply' && (!turn || turn === this.#draft?.turn || !this.thread.running)) this.clearLive();
    if (kind === 'reply') this.#putAway();
    const buttons = (body.buttons || []).map((one) => actionButton(one));
    return h('div', { class: `entry spoken ${kind}` },
      h('div', { class: 'meta' }, 'it0 · ', when(at)),
      h('div', { class: 'prose' }, parts(body.parts)),
      body.file && h('p', null, h('a', { class: 'btn btn-plain btn-small', href: `/files/${encodeURIComponent(body.file.id)}`, download: body.file.name },
        icon('down'), t('console.download', { name: body.file.name }))),
      buttons.length > 0 && h('div', { class: 'actions' }, buttons));
  }

  #step({ turn, at, seq, body }) {
    const key = `${turn}:${body.no}`;
    const before = this.steps.get(key);
    if (before?.seq > seq) return null; // older events come in later: the step was done again after this
    before?.entry.remove();
    const step = { turn, no: body.no, seq, given: 'running', at, written: 0 };
    step.mark = h('span', { class: 'step-mark' });
    step.word = h('span', { class: 'step-word' });
    step.live = h('pre', { class: 'output live', hidden: true });
    step.results = h('div', { class: 'step-results' });
    step.note = h('p', { class: 'step-note muted', hidden: true });
    step.node = h('details', { class: 'step' },
      h('summary', null, step.mark, h('span', { class: 'step-title' }, body.title || body.tool), ' ', step.word,
        icon('chevron', 'turn')),
      h('div', { class: 'step-body' }, callOf(body), step.live, step.results, step.note));
    step.node.firstChild.addEventListener('click', () => { step.touched = true; });
    step.entry = h('div', { class: 'entry entry-step' }, step.node);
    this.steps.set(key, step);
    this.#mark(step);
    const orphan = this.#orphans.get(key);
    if (orphan) this.#result(orphan);
    return step.entry;
  }

  #result(event) {
    const { turn, at, body } = event;
    const step = this.steps.get(`${turn}:${body.no}`);
    if (!step) {
      this.#orphans.set(`${turn}:${body.no}`, event);
      return null;
    }
    step.took = Date.parse(at) - Date.parse(step.at);
    step.given = body.status;
    step.outcome = body.outcome;
    step.approval = body.approval_id || step.approval;
    step.results.replaceChildren(...parts(body.parts).flat());
    step.live.hidden = step.results.childNodes.length > 0;
    this.#mark(step);
    if (!step.touched) step.node.open = false;
    return null;
  }

  /** A card belongs to the step that asked for it; what its command says shows below it. */
  #card({ turn, body }, fresh) {
    const entry = h('div', { class: 'entry entry-card' }, approvalCard(body.approval, { fresh }));
    this.#places.set(body.approval.id, entry);
    for (const step of this.steps.values()) {
      if (step.turn === turn && step.given === 'running') step.approval = body.approval.id;
    }
    return entry;
  }

  /** The step that waited shows what was decided, and what came of it. */
  decided(id) {
    for (const step of this.steps.values()) if (step.approval === id && step.given === 'waiting') this.#mark(step);
  }

  /** Return how a step stands, by what is stored of it. */
  #standing(step) {
    if (step.given === 'running') return { status: step.cut ? 'stopped' : 'running' };
    if (step.given !== 'waiting') {
      return step.outcome && step.given !== 'refused'
        ? { status: step.outcome.state, code: step.outcome.exit_code } : { status: step.given };
    }
    const approval = state.approvals.get(step.approval);
    if (!approval || approval.status === 'pending') return { status: 'waiting' };
    if (approval.status !== 'approved') return { status: approval.status };
    return { status: approval.act?.state || 'approved', code: approval.act?.exit_code, why: approval.act?.why };
  }

  #mark(step) {
    const { status, code, why } = this.#standing(step);
    const waited = step.given === 'waiting';
    step.status = status;
    step.node.className = `step step-${status}`;
    step.mark.replaceChildren(status === 'running' ? h('span', { class: 'spinner' }) : icon(STATUS_ICONS[status] || 'clock'));
    const seconds = !waited && step.took >= 1000 ? ` · ${(step.took / 1000).toFixed(1)} s` : '';
    step.word.textContent = tOr(`status.${status}`, status).replace('{code}', code ?? '') + seconds;
    if (waited && status !== 'waiting') step.results.replaceChildren(); // that it waits is no longer so
    step.note.textContent = words(why || '');
    step.note.hidden = !why;
  }

  /** What no longer runs and has no result was cut off. */
  settleSteps(running) {
    for (const step of this.steps.values()) {
      const cut = step.turn !== running;
      if (step.given !== 'running' || step.cut === cut) continue;
      step.cut = cut;
      this.#mark(step);
    }
  }

  /** What a model thought and said before its calls. */
  #thought({ turn, body }) {
    if (turn === this.#draft?.turn || turn === this.#thinking?.dataset.turn) this.clearLive();
    if (!body.thinking && !body.parts?.length) return null;
    return h('div', { class: 'entry spoken' },
      body.thinking && thinking(body.thinking),
      body.parts.length > 0 && h('div', { class: 'prose' }, parts(body.parts)));
  }

  /** The reply shows what the commands said that it speaks of. */
  #putAway() {
    for (const step of this.steps.values()) {
      if (step.given === 'waiting' && step.status !== 'waiting' && step.status !== 'running') step.live.remove();
    }
  }

  /** Show a live piece. Returns what is new on the page, if anything. */
  live(message) {
    const { kind, data, turn } = message;
    if (kind === 'output') return this.#liveOutput(turn, data);
    if (kind === 'state') return this.#state(data);
    this.#clearState();
    if (kind === 'text') {
      this.#draft ||= { turn, text: '', node: h('div', { class: 'prose drafting' }) };
      this.#draft.text += data.text ?? '';
      this.#draft.node.replaceChildren(...prose(this.#draft.text));
      return this.#draft.node;
    }
    if (kind === 'thinking') {
      this.#thinking ||= thinking('', turn);
      this.#thinking.lastChild.append(words(data.text ?? ''));
      return this.#thinking;
    }
    return null;
  }

  /** What keeps a turn waiting; with `again` what was shown of its draft is void. */
  #state(data) {
    if (data.again) this.clearLive();
    if (!data.text) return null;
    this.#clearState();
    this.#note = h('p', { class: 'muted', role: 'status' }, words(data.text));
    return this.#note;
  }

  #clearState() {
    this.#note?.remove();
    this.#note = null;
  }

  #liveOutput(turn, data) {
    const all = [...this.steps.values()].reverse();
    const step = this.steps.get(`${turn}:${data.step}`) ||
      all.find((one) => one.no === data.step && ['approved', 'waiting', 'running'].includes(one.status));
    if (!step) return null;
    step.live.hidden = false;
    const place = step.given === 'waiting' && this.#places.get(step.approval);
    if (place && step.live.parentNode !== place) place.append(step.live);
    if (!place && !step.touched) step.node.open = true;
    const many = data.server && step.server !== undefined && step.server !== data.server;
    if (many) step.live.append(h('span', { class: 'live-server' }, `\n— ${data.server} —\n`));
    step.server = data.server;
    step.live.append(...output(data.text ?? ''));
    step.written += (data.text ?? '').length;
    this.#shorten(step);
    step.live.scrollTop = step.live.scrollHeight;
    return null;
  }

  /** Keep the end of a long live output, and say that its beginning is left out. */
  #shorten(step) {
    if (step.written <= LIVE_LIMIT) return;
    step.gap?.remove();
    while (step.written > LIVE_LIMIT && step.live.childNodes.length > 1) {
      step.written -= step.live.firstChild.textContent.length;
      step.live.firstChild.remove();
    }
    step.gap = cutMark(t('console.output_cut'));
    step.live.prepend(step.gap);
  }

  /** Take the live pieces away: the stored reply is here, or nothing runs any more. */
  clearLive() {
    this.#draft?.node.remove();
    this.#thinking?.remove();
    this.#clearState();
    this.#draft = null;
    this.#thinking = null;
  }
}

/** A model's thinking, folded. */
function thinking(text, turn = '') {
  return h('details', { class: 'thinking', 'data-turn': turn },
    h('summary', null, icon('chevron', 'turn'), t('console.thinking')), h('div', { class: 'muted' }, words(text)));
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
