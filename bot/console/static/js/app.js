/** The start: who am I, in which language, and which view the address names. */
import { ApiError, get, patch, whenSignedOut } from './api.js';
import { mountKeys } from './apikeys.js';
import { mountApprovals } from './approvals.js';
import { mountAudit } from './audit.js';
import { on } from './bus.js';
import { mountChannels } from './channels.js';
import { mountChat } from './chat.js';
import { mountClusters } from './clusters.js';
import { mountCredentials } from './credentials.js';
import { startToasts } from './dialog.js';
import { Scope, button, fill, h, icon } from './dom.js';
import { lang, setTexts, t, tOr } from './i18n.js';
import { startKeys } from './keys.js';
import { emptyState } from './page.js';
import { mountPeople } from './people.js';
import { mountPolicy } from './policy.js';
import { mountServers } from './servers.js';
import { buildShell } from './shell.js';
import { startStepUp } from './stepup.js';
import { reconnect, refreshConversations, refreshApprovals, resetThreads, start, state, stop } from './store.js';
import { mountUsage } from './usage.js';
import { views } from './views.js';

const MOUNT = {
  chat: mountChat, servers: mountServers, clusters: mountClusters, credentials: mountCredentials, approvals: mountApprovals,
  audit: mountAudit, usage: mountUsage, people: mountPeople, keys: mountKeys, channels: mountChannels, policy: mountPolicy, nowhere: mountNowhere,
};
const root = document.getElementById('app');
let frame = null;
let frameScope = new Scope();
let view = { name: '', scope: new Scope(), shown: null };
let over = false;
let spoken = '';

/** Return the part of a `#/view/part` address; one that cannot be read names nothing. */
function partOf(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A dialog belongs to the view it was opened in; that a new conversation gets its id is no other view. */
function closeDialogs({ oldURL, newURL }) {
  const [before, now] = [oldURL, newURL].map((url) => new URL(url).hash);
  if (/^(#\/chat(\/(new|~.*)?)?)?$/.test(before) && now.startsWith('#/chat/')) return;
  for (const open of document.querySelectorAll('dialog[open]')) open.close();
}

/** Show what the address names. */
function route() {
  if (!frame || over) return;
  const [, asked = 'chat', param = ''] = location.hash.split('/');
  const name = views().includes(asked || 'chat') ? asked || 'chat' : 'nowhere';
  if (view.name !== name) {
    view.scope.end();
    view = { name, scope: new Scope(), shown: null };
    fill(frame.main);
    document.body.dataset.view = name;
    view.shown = MOUNT[name](frame.main, view.scope) || null;
    if (name !== 'chat') frame.main.focus({ preventScroll: true });
    frame.main.scrollTop = 0;
  }
  view.shown?.show(name === 'nowhere' ? asked : partOf(param));
  frame.mark(name);
}

/** The address names nothing, or nothing for this person: say so. */
function mountNowhere(main) {
  return {
    show: (asked) => fill(main, h('div', { class: 'page' }, emptyState('search', t(Object.hasOwn(MOUNT, asked) ? 'console.no_view_for_you' : 'console.no_view'),
      h('a', { class: 'btn btn-plain', href: '#/chat' }, t('console.to_chat'))))),
    focus: () => {},
  };
}

/** Build everything anew, in the language in use. */
function build() {
  view.scope.end();
  view = { name: '', scope: new Scope(), shown: null };
  frameScope.end();
  frameScope = new Scope();
  frame = buildShell(root, { setLanguage }, frameScope);
  route();
}

/** Take a language's words into use. */
const readTexts = async (language) => setTexts(language, (await get(`texts/${language}`)).texts);

/** Change the language here and for what the server says to me. */
async function setLanguage(language) {
  await patch('me', { language });
  state.me.user.language = language;
  await speak(language);
}

/** Show everything in another language from now on. */
async function speak(language) {
  if (language === spoken) return;
  const before = spoken;
  spoken = language;
  try {
    await readTexts(language);
  } catch (error) {
    spoken = before;
    throw error;
  }
  remember(language);
  resetThreads();
  build();
  reconnect(true);
  refreshConversations();
  refreshApprovals();
}

/** Follow a language that was chosen elsewhere: by /language, or on another page. */
function followLanguage() {
  if (frame && !over) speak(languageOf(state.me)).catch(() => {}); // tried again with the next change
}

const languageOf = (me) => (me.languages.includes(me.user.language) ? me.user.language : 'en');

function remember(language) {
  try {
    localStorage.setItem('it0.language', language);
  } catch {
    // only the sign-in screen's language is lost
  }
}

/** Return the language for a page that does not know its reader. */
function guess() {
  try {
    const kept = localStorage.getItem('it0.language');
    if (kept) return kept;
  } catch {
    // none
  }
  return (navigator.language || '').toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

/** The session is over: say so, and how to get back. */
function signedOut() {
  if (over) return;
  over = true;
  stop();
  view.scope.end();
  frameScope.end();
  for (const open of document.querySelectorAll('dialog[open]')) open.close();
  const name = state.me?.user.name || 'NAME';
  const zh = (state.me ? lang() : guess()) === 'zh';
  const say = (key, en, cn) => tOr(key, zh ? cn : en);
  document.title = 'it0';
  document.documentElement.lang = zh ? 'zh-CN' : 'en';
  fill(root, h('main', { class: 'door' }, h('div', { class: 'door-card', role: 'alert' },
    h('p', { class: 'wordmark', 'aria-hidden': 'true' }, 'it0'),
    h('h1', null, state.me ? say('console.session_ended', 'Your session has ended', '登录已结束') : say('console.signed_out', 'You are not signed in', '您尚未登录')),
    h('p', null, say('console.session_how', 'Get a new one-time sign-in link: run this where it0 is installed, or ask an admin for one.',
      '请获取新的一次性登录链接：在 it0 所在机器上运行以下命令，或向管理员索取。')),
    h('pre', { class: 'command' }, h('code', null, `it0 user link ${name}`)),
    h('p', { class: 'muted' }, say('console.session_kept', 'Messages that were not sent yet are kept in this browser and go out when you sign in again.',
      '尚未发送的消息保留在此浏览器中，重新登录后会自动发送。')),
    button(say('console.try_again', 'Try again', '重试'), { onclick: () => location.reload() }))));
}

/** it0 does not answer: say so and try again by itself. */
function unreachable(error) {
  const zh = guess() === 'zh';
  fill(root, h('main', { class: 'door' }, h('div', { class: 'door-card', role: 'alert' }, icon('alert'),
    h('h1', null, zh ? '无法连接 it0' : 'it0 cannot be reached'), h('p', null, error.message),
    button(zh ? '重试' : 'Try again', { onclick: () => location.reload() }))));
  setTimeout(boot, 4000);
}

async function boot() {
  try {
    const me = await get('me');
    spoken = languageOf(me);
    await readTexts(spoken);
    remember(spoken);
    start(me);
    build();
    startKeys({ focusComposer });
    addEventListener('hashchange', (event) => { closeDialogs(event); route(); });
    addEventListener('focus', () => reconnect());
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error);
    if (error.status !== 401) unreachable(error);
  }
}

function focusComposer() {
  if (view.name === 'chat') return view.shown?.focus();
  location.hash = '#/chat/new';
  return setTimeout(() => view.shown?.focus(), 50);
}

whenSignedOut(signedOut);
on('me', followLanguage);
startToasts();
startStepUp();
boot();
