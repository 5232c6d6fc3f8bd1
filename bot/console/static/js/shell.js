/** The frame around every view: navigation, connection, halt, language, and who I am. */
import { post, signOut } from './api.js';
import { on } from './bus.js';
import { confirmed, toast, working } from './dialog.js';
import { button, fill, h, icon } from './dom.js';
import { lang, t } from './i18n.js';
import { secondFactor } from './stepup.js';
import { mine, reconnect, refreshMe, state } from './store.js';
import { headOf, heads } from './views.js';

/** Build the frame; returns the place for views and how to mark the current one. */
export function buildShell(root, { setLanguage }, scope) {
  const badge = h('span', { class: 'count', hidden: true });
  const links = new Map();
  const nav = h('nav', { class: 'nav', 'aria-label': t('console.navigation') }, heads().map(([name, sign]) => {
    const link = h('a', { href: `#/${name}` }, h('span', { class: 'nav-icon' }, icon(sign)),
      h('span', null, t(`console.nav_${name}`)), name === 'approvals' && [' ', badge]);
    links.set(name, link);
    return link;
  }));
  const line = h('button', { type: 'button', class: 'connection', onclick: () => reconnect() });
  const halt = button(t('console.halt'), { look: 'danger halt', icon: 'halt', onclick: askHalt, title: t('console.halt_hint') });
  const banner = h('div', { class: 'banner', role: 'alert', hidden: true });
  const main = h('main', { id: 'main', tabindex: '-1' });
  fill(root,
    h('a', { class: 'skip', href: '#main', onclick: (event) => { event.preventDefault(); main.focus(); } }, t('console.skip')),
    h('header', { class: 'top' }, h('a', { class: 'wordmark', href: '#/chat', 'aria-label': 'it0' }, 'it0'),
      state.me.tenant.slug !== 'default' && h('span', { class: 'tenant' }, state.me.tenant.name),
      nav, h('div', { class: 'top-end' }, line, state.me.user.role !== 'viewer' && halt, languages(setLanguage), account())),
    banner, main);

  const drawLine = () => {
    const { state: now, until } = state.connection;
    const seconds = Math.max(1, Math.ceil((until - Date.now()) / 1000));
    const words = t(`console.connection_${now}`, { seconds });
    const again = now === 'waiting' || now === 'crowded';
    if (line.dataset.words === words) return;
    line.dataset.words = words;
    line.className = `connection connection-${now}`;
    line.disabled = !again;
    line.title = again ? t('console.connection_now') : words;
    fill(line, h('span', { class: 'dot' }), h('span', { class: 'connection-words' }, words));
  };
  const drawMe = () => {
    const by = state.me.halted_by;
    halt.hidden = Boolean(by);
    banner.hidden = !by;
    if (!by) return;
    fill(banner, icon('halt'), h('span', null, t('console.halted', { name: by })), state.me.user.role === 'admin'
      ? button(t('console.resume'), { look: 'plain btn-small', onclick: askResume })
      : h('span', { class: 'banner-note' }, t('console.halted_ask')));
  };
  const drawBadge = () => {
    const count = mine().length;
    badge.hidden = !count;
    fill(badge, count, h('span', { class: 'sr' }, ` ${t('console.approvals_for_you', { count })}`));
    document.title = `${count ? `(${count}) ` : ''}${document.title.replace(/^\(\d+\) /, '')}`;
  };
  scope.keep(on('connection', drawLine));
  scope.keep(on('me', drawMe));
  scope.keep(on('approvals', drawBadge));
  const clock = setInterval(drawLine, 1000);
  scope.keep(() => clearInterval(clock));
  drawLine();
  drawMe();
  drawBadge();
  return {
    main,
    /** Mark the view that is shown. */
    mark(view) {
      for (const [name, link] of links) {
        if (name === headOf(view)) link.setAttribute('aria-current', 'page');
        else link.removeAttribute('aria-current');
      }
      document.title = links.has(headOf(view)) ? `${t(`console.nav_${view}`)} · it0` : 'it0';
      drawBadge();
    },
  };
}

function languages(setLanguage) {
  const names = { en: 'EN', zh: '中文' };
  return h('div', { class: 'languages', role: 'group', 'aria-label': t('console.language') }, state.me.languages.map((one) =>
    h('button', {
      type: 'button', lang: one === 'zh' ? 'zh-CN' : 'en', 'aria-pressed': one === lang() ? 'true' : 'false', 'data-language': one,
      onclick: (event) => one !== lang() && working(event.currentTarget, () => setLanguage(one)),
    }, names[one] || one)));
}

function account() {
  const { name, role } = state.me.user;
  const menu = h('details', { class: 'account' },
    h('summary', { 'aria-label': t('console.account') }, icon('user'), h('span', { class: 'account-name' }, name)),
    h('div', { class: 'menu' },
      h('p', null, h('b', null, name), h('br'), h('span', { class: 'muted' }, `${t(`role.${role}`)} · ${state.me.tenant.name}`)),
      button(t('console.totp'), { look: 'ghost', onclick: (event) => { menu.open = false; working(event.currentTarget, secondFactor); } }),
      button(t('console.help_keys'), { look: 'ghost', onclick: () => { menu.open = false; document.dispatchEvent(new CustomEvent('it0-help')); } }),
      button(t('console.sign_out'), { look: 'ghost', onclick: async () => { await signOut(); location.reload(); } })));
  menu.addEventListener('focusout', (event) => { if (!menu.contains(event.relatedTarget)) menu.open = false; });
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    menu.open = false;
    menu.firstChild.focus();
  });
  return menu;
}

async function askHalt() {
  if (!(await confirmed(t('console.halt_title'), t('console.halt_sure'), t('console.halt_yes')))) return;
  await send('halt');
}

async function askResume() {
  if (!(await confirmed(t('console.resume_title'), t('console.resume_sure'), t('console.resume'), { danger: false }))) return;
  await send('resume');
}

async function send(what) {
  try {
    await post(what);
  } catch (error) {
    toast(error.message, true);
  }
  await refreshMe();
}
