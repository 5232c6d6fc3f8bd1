/** The chat: the list of conversations, the open one's thread, and the composer. */
import { wordsOf } from './attached.js';
import { emit, on } from './bus.js';
import { makeList, markSeen } from './chatlist.js';
import { makeComposer } from './composer.js';
import { Scope, add, button, fill, h, icon } from './dom.js';
import { t } from './i18n.js';
import * as outbox from './outbox.js';
import { emptyState } from './page.js';
import { drawPending, matchSaid } from './pending.js';
import { leaveThread, loadOlder, openThread, say, state, stopTurn } from './store.js';
import { Timeline, refreshButtons } from './timeline.js';

const NEAR = 80;
const wide = matchMedia('(min-width: 761px)');

/** Mount the chat; show(param) opens a conversation, a new one (~thread or "new"), or the list. */
export function mountChat(root, scope) {
  let key = '';
  let thread = null;
  let timeline = null;
  let inner = new Scope();
  let stick = true;
  let loading = false;
  let named = false; // the address names a conversation
  let carry = false; // what is being typed goes along when a new conversation gets its id
  const list = makeList(scope);
  const older = button(t('console.load_older'), { look: 'ghost btn-small', onclick: () => readOlder(), hidden: true });
  const log = h('div', { class: 'log' });
  const drafts = h('div', { class: 'drafts' });
  const waiting = h('div', { class: 'waiting' });
  const welcome = h('div', { class: 'welcome', hidden: true });
  const column = h('div', { class: 'column' }, h('div', { class: 'older' }, older), welcome, log, drafts, waiting);
  const scroll = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': t('console.thread') }, column);
  const jump = button(t('console.to_latest'), { look: 'plain jump', icon: 'down', hidden: true, onclick: () => toEnd(true) });
  const title = h('h1', { class: 'thread-title' });
  const running = h('div', { class: 'running', role: 'status', hidden: true });
  const composer = makeComposer({ said: mySaid, send }, scope);
  const pane = h('section', { class: 'thread' },
    h('header', { class: 'thread-head' },
      h('a', { class: 'btn btn-ghost back', href: '#/chat', 'aria-label': t('console.back') }, icon('back')),
      title, h('span', { class: 'muted engine' }, t('console.engine', { engine: state.me.engine }))),
    h('div', { class: 'scroll-box' }, scroll, jump),
    h('div', { class: 'dock' }, running, composer.node));
  const view = h('div', { class: 'chat' }, list.node, pane);
  root.append(view);

  /** Open what the address names. */
  function show(param) {
    const next = param === 'new' || !param ? '' : param;
    named = Boolean(param);
    drawFirst();
    inner.end();
    inner = new Scope();
    if (thread) leaveThread(thread.id);
    thread = null;
    timeline = null;
    key = next || `~${outbox.newId()}`;
    const placed = key.startsWith('~') && state.places.get(key.slice(1));
    if (placed) return location.replace(`#/chat/${placed}`);
    list.select(next);
    composer.move(next || 'new', carry);
    carry = false;
    fill(log);
    fill(drafts);
    stick = true;
    if (!key.startsWith('~')) openStored(key);
    else older.hidden = true;
    refresh();
    drawTitle();
    toEnd(true);
    if (wide.matches || param === 'new') composer.focus();
    return undefined;
  }

  function openStored(id) {
    inner.keep(on(`thread:${id}`, change));
    thread = openThread(id);
    timeline = new Timeline(thread);
    append(thread.events);
    older.hidden = !thread.more;
    if (thread.denied) deny();
    else if (!thread.loaded) add(log, h('p', { class: 'muted loading' }, t('console.loading')));
  }

  function change({ kind, events, first, message }) {
    if (kind === 'reset') redraw();
    else if (kind === 'denied') deny();
    else if (kind === 'older') prepend(events);
    else if (kind === 'live') live(message);
    else {
      log.querySelector('.loading')?.remove();
      matchSaid(events, thread.id, first);
      append(events, !first);
    }
    older.hidden = !thread.more;
    if (thread.last) markSeen(thread.id, thread.last);
    refresh();
  }

  function deny() {
    fill(log, emptyState('chat', thread.denied, h('a', { class: 'btn btn-plain', href: '#/chat/new' }, icon('plus'), t('console.new_conversation'))));
  }

  function redraw() {
    timeline = new Timeline(thread);
    fill(log);
    fill(drafts);
    append(thread.events);
  }

  function append(events, fresh = false) {
    for (const event of events) {
      add(log, timeline.draw(event, fresh));
      if (fresh) announce(event);
    }
    if (!stick && fresh && events.some((event) => ['reply', 'notice', 'card'].includes(event.kind))) jump.hidden = false;
  }

  function prepend(events) {
    const before = scroll.scrollHeight - scroll.scrollTop;
    log.prepend(...events.map((event) => timeline.draw(event)).filter(Boolean));
    scroll.scrollTop = scroll.scrollHeight - before;
  }

  function live(message) {
    const node = timeline.live(message);
    if (node && !node.isConnected) drafts.append(node);
  }

  async function readOlder() {
    if (loading || !thread?.more) return;
    loading = true;
    try {
      await loadOlder(thread);
    } catch (error) {
      emit('toast', { text: error.message, bad: true });
    } finally {
      loading = false;
    }
  }

  /** Bring everything around the log in line: pending messages, the running bar, the welcome. */
  function refresh() {
    drawPending(waiting, key, thread, composer);
    refreshButtons(log);
    timeline?.settleSteps(thread.running);
    if (!thread?.running) timeline?.clearLive();
    drawRunning();
    const empty = !thread && !waiting.childNodes.length;
    if (empty && welcome.hidden) drawWelcome();
    welcome.hidden = !empty;
    keepEnd();
  }

  function drawRunning() {
    const turn = thread?.running;
    if (running.hidden === Boolean(turn)) emit('running');
    running.hidden = !turn;
    if (!turn) return fill(running);
    const stopping = outbox.entries().some((e) => e.message.type === 'stop' && e.message.conversation === thread.id);
    const shown = `${turn} ${stopping} ${thread.stopAsked === turn}`;
    if (running.dataset.shown === shown && running.childNodes.length) return undefined;
    running.dataset.shown = shown;
    const rest = stopping || thread.stopAsked === turn;
    return fill(running, h('span', { class: 'spinner' }), h('span', null, t('console.working')),
      button(t(rest ? 'console.stopping' : 'console.stop'), {
        look: 'danger btn-small', icon: 'stop', disabled: rest,
        onclick: () => {
          thread.stopAsked = turn;
          stopTurn(thread.id, turn);
          setTimeout(() => {
            if (thread) thread.stopAsked = null;
            refresh();
          }, 8000);
          refresh();
        },
      }));
  }

  /** Where there is no conversation yet, a narrow screen shows the greeting instead of an empty list. */
  function drawFirst() {
    const first = !named && state.listed && !state.conversations.length;
    view.classList.toggle('with-thread', named || first);
    view.classList.toggle('first', first);
  }

  function drawTitle() {
    const found = state.conversations.find((one) => one.id === key);
    fill(title, key.startsWith('~') ? t('console.new_conversation') : found?.title || t('console.untitled'));
  }

  function drawWelcome() {
    const examples = ['console.example_1', 'console.example_2', 'console.example_3'].map((name) => t(name));
    fill(welcome, h('h2', null, t('console.welcome', { name: state.me.user.name })), h('p', null, t('console.welcome_text')),
      h('div', { class: 'examples' }, examples.map((text) =>
        button(text, { onclick: () => { composer.put(text); composer.focus(); } }))));
  }

  function send(text, file) {
    stick = true;
    if (thread) return say(thread.id, thread.id, text, file);
    say(null, key.slice(1), text, file);
    if (!state.places.has(key.slice(1)) && location.hash !== `#/chat/${key}`) move(key);
    return undefined;
  }

  function move(to) {
    carry = true;
    location.replace(`#/chat/${to}`);
  }

  function mySaid() {
    const mine = (thread?.events || []).filter((e) => e.kind === 'said' && e.user === state.me.user.name);
    const waits = outbox.entries().filter((e) => e.message.type === 'say').map((e) => e.message.text);
    return [...mine.map((event) => wordsOf(event.body.text)), ...waits];
  }

  function keepEnd() {
    if (stick) scroll.scrollTop = scroll.scrollHeight;
  }

  function toEnd(always) {
    stick ||= always;
    jump.hidden = true;
    keepEnd();
  }

  scope.listen(scroll, 'scroll', () => {
    stick = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR;
    if (stick) jump.hidden = true;
    if (scroll.scrollTop < 300 && thread?.more && thread.loaded) readOlder();
  }, { passive: true });
  scope.listen(column, 'click', (event) => { if (event.target.closest('summary')) stick = false; });
  const sizes = new ResizeObserver(keepEnd);
  sizes.observe(column);
  sizes.observe(scroll);
  scope.keep(() => sizes.disconnect());
  scope.keep(() => { inner.end(); if (thread) leaveThread(thread.id); });
  scope.keep(on('outbox', refresh));
  scope.keep(on('connection', refresh));
  scope.keep(on('conversations', drawTitle));
  scope.keep(on('conversations', drawFirst));
  scope.keep(on('approval', (id) => timeline?.decided(id)));
  scope.keep(on('placed', (p) => { if (key === `~${p.thread}`) move(p.conversation); }));
  return { show, focus: composer.focus };
}

/** Tell a screen reader what has just come in. */
function announce({ kind, body }) {
  const place = document.getElementById('announcer');
  if (kind === 'card') place.textContent = t('console.announce_card', { code: body.approval.code });
  if (kind === 'reply' || kind === 'notice') {
    const text = body.parts.map((part) => part.text ?? part.code ?? '').join(' ');
    place.textContent = `it0: ${text.slice(0, 300)}`;
  }
}
