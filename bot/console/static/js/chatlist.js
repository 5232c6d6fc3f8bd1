/** The list of conversations, newest first, with what is still to be sent on top. */
import { on } from './bus.js';
import { add, fill, h, icon } from './dom.js';
import { t, when } from './i18n.js';
import * as outbox from './outbox.js';
import { state } from './store.js';

const SEARCH_FROM = 8;

/** Return which conversation has been read how far, per user. */
function seen() {
  try {
    return JSON.parse(localStorage.getItem(`it0.seen.${state.me.user.id}`)) || {};
  } catch {
    return {};
  }
}

/** Remember that a conversation was read up to a number. */
export function markSeen(id, seq) {
  const all = seen();
  if ((all[id] ?? 0) >= seq) return;
  all[id] = seq;
  try {
    localStorage.setItem(`it0.seen.${state.me.user.id}`, JSON.stringify(all));
  } catch {
    // only the dot is lost
  }
}

/** Make the list; select(key) marks the open one. */
export function makeList(scope) {
  let chosen = '';
  let wanted = '';
  const items = h('ul', { class: 'conversations' });
  const search = h('input', {
    type: 'search', class: 'search', placeholder: t('console.search_conversations'),
    'aria-label': t('console.search_conversations'), hidden: true,
    oninput: () => {
      wanted = search.value.trim().toLowerCase();
      draw();
    },
  });
  const node = h('nav', { class: 'chat-list', 'aria-label': t('console.conversations') },
    h('div', { class: 'chat-list-head' },
      h('h2', null, t('console.conversations')),
      h('a', { class: 'btn btn-plain btn-small', href: '#/chat/new' }, icon('plus'), t('console.new'))),
    search, items);

  const item = (key, title, { unread, running, at, note }) =>
    h('li', null, h('a', {
      href: `#/chat/${key}`, class: `conversation${unread ? ' unread' : ''}`,
      'aria-current': key === chosen ? 'page' : null,
    },
    h('span', { class: 'conversation-title' }, title || t('console.untitled')), ' ',
    h('span', { class: 'conversation-meta' },
      running && [h('span', { class: 'spinner' }), t('status.running'), ' · '],
      unread && h('span', { class: 'sr' }, t('console.unread')), note || (at && when(at)))));

  function draw() {
    const read = seen();
    const unsent = new Map();
    for (const { message } of outbox.entries()) {
      if (message.type === 'say' && !message.conversation && !unsent.has(message.thread)) {
        unsent.set(message.thread, message.text);
      }
    }
    const shown = state.conversations.filter((one) => !wanted || (one.title || '').toLowerCase().includes(wanted));
    search.hidden = state.conversations.length < SEARCH_FROM && !wanted;
    fill(items, [...unsent].map(([thread, text]) =>
      item(`~${thread}`, text.slice(0, 80), { note: t('console.will_be_sent') })));
    add(items, shown.map((one) => {
      if (read[one.id] === undefined) markSeen(one.id, one.last_seq);
      const unread = one.id !== chosen && read[one.id] !== undefined && one.last_seq > read[one.id];
      return item(one.id, one.title, { unread, running: one.running, at: one.updated_at });
    }));
    if (!items.childNodes.length && state.listed) {
      add(items, h('li', { class: 'empty' }, t(wanted ? 'console.nothing_found' : 'console.no_conversations')));
    }
  }
  scope.keep(on('conversations', draw));
  scope.keep(on('outbox', draw));
  draw();
  return {
    node,
    select(key) {
      chosen = key;
      draw();
    },
  };
}
