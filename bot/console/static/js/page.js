/** What the list pages share: a heading, tables that become cards on narrow screens, and loading. */
import { working } from './dialog.js';
import { button, fill, h, icon } from './dom.js';
import { t } from './i18n.js';

/** A page with a heading and its actions. */
export function page(title, actions, ...content) {
  return h('div', { class: 'page' },
    h('header', { class: 'page-head' }, h('h1', null, title), h('div', { class: 'page-actions' }, actions)), content);
}

/** A table; columns are its headings, rows arrays of cells (or one full-width node). */
export function table(caption, columns, rows) {
  return h('table', { class: 'table' },
    h('caption', { class: 'sr' }, caption),
    h('thead', null, h('tr', null, columns.map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', null, rows.map((cells) => row(columns, cells))));
}

/** A table's row. */
export function row(columns, cells) {
  return h('tr', null, cells.map((cell, n) => h('td', { 'data-label': columns[n] || null }, isEmpty(cell) ? null : cell)));
}

const SEEN = 'input, select, svg, progress';

/** Return whether a cell would show nothing but its label. */
const isEmpty = (cell) => cell instanceof Element && !cell.textContent.trim() && !cell.matches(SEEN) && !cell.querySelector(SEEN);

/** A button that unfolds further actions; items are [label, act] pairs, or nothing. */
export function menu(label, items) {
  const close = () => { node.open = false; };
  const node = h('details', { class: 'more-menu' }, h('summary', { class: 'btn btn-ghost btn-small', 'aria-label': label, title: label }, icon('more')),
    h('div', { class: 'menu' }, items.filter(Boolean).map(([words, act]) =>
      button(words, { look: 'ghost', onclick: (event) => { close(); act(event); } }))));
  node.addEventListener('focusout', (event) => { if (!node.contains(event.relatedTarget)) close(); });
  node.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    close();
    node.firstChild.focus();
  });
  return node;
}

/** Show beside a button what its checks came to, each as {ok, message, can}. */
export function outcomeOf(pressed, place, waiting, check) {
  return working(pressed, async () => {
    place.hidden = false;
    fill(place, h('p', { class: 'check-line' }, h('span', { class: 'spinner' }), waiting));
    try {
      fill(place, (await check()).map(({ ok, message, can }) => [
        h('p', { class: ok ? 'check-line good' : 'check-line bad' }, icon(ok ? 'check' : 'x'), h('span', null, message)),
        can.map((words) => h('p', { class: 'muted' }, words))]));
    } catch (error) {
      fill(place, h('p', { class: 'check-line bad' }, icon('alert'), h('span', null, error.message)));
    }
  });
}

/** Fill a place with what load() gives; show that it loads, and an error with a way to try again. */
export async function loading(place, load) {
  if (!place.childNodes.length) fill(place, h('p', { class: 'muted loading' }, t('console.loading')));
  try {
    fill(place, await load());
  } catch (error) {
    fill(place, h('div', { class: 'empty-state bad' }, icon('alert'), h('p', null, error.message),
      button(t('console.reload'), { onclick: () => loading(place, load) })));
  }
}

/** What is shown where there is nothing. */
export const emptyState = (name, text, ...more) => h('div', { class: 'empty-state' }, icon(name), h('p', null, text), more);
