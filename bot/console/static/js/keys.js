/** Keyboard shortcuts, and the dialog that lists them. */
import { openDialog } from './dialog.js';
import { h } from './dom.js';
import { t } from './i18n.js';
import { views } from './views.js';

const GO = { c: 'chat', s: 'servers', a: 'approvals', l: 'audit', u: 'usage', p: 'people', k: 'keys', n: 'chat/new' };
const GO_MS = 1500;

/** Listen for shortcuts; focusComposer() goes to the box one types in. */
export function startKeys({ focusComposer }) {
  let going = 0;
  document.addEventListener('it0-help', help);
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest?.('input, textarea, select, [contenteditable]') || document.querySelector('dialog[open]')) return;
    if (Date.now() - going < GO_MS) {
      going = 0;
      const view = GO[event.key];
      if (!view || !views().includes(view.split('/')[0])) return;
      event.preventDefault();
      location.hash = `#/${view}`;
    } else if (event.key === 'g') going = Date.now();
    else if (event.key === '?') help();
    else if (event.key === '/') {
      event.preventDefault();
      focusComposer();
    }
  });
}

function help() {
  const keys = (...all) => all.map((key) => h('kbd', null, key));
  const rows = [
    [keys('/'), 'composer'], [keys('Enter'), 'send'], [keys('Shift', 'Enter'), 'newline'], [keys('↑'), 'history'],
    ...Object.entries(GO).filter(([, view]) => views().includes(view.split('/')[0]))
      .map(([key, view]) => [keys('g', key), view.replace('/', '_')]),
    [keys('Esc'), 'escape'], [keys('?'), 'help'],
  ];
  openDialog(t('console.help_keys'), () => h('div', { class: 'dialog-body' },
    h('dl', { class: 'keys' }, rows.map(([combo, name]) => [h('dt', null, combo), h('dd', null, t(`console.key_does_${name}`))]))));
}
