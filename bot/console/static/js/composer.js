/** The box one types in: Enter sends, Shift+Enter breaks the line, Up brings back what was said. */
import { on } from './bus.js';
import { h, icon } from './dom.js';
import { t } from './i18n.js';
import { state } from './store.js';

const DRAFT = 'it0.draft.';

/** Make a composer. said(): earlier texts, oldest first; send(text) takes a message. */
export function makeComposer({ said, send }, scope) {
  let place = '';
  let back = 0;
  let typed = '';
  const area = h('textarea', {
    id: 'composer', rows: '1', placeholder: t('console.composer_placeholder'), 'aria-describedby': 'composer-hint',
    enterkeyhint: 'send', autocomplete: 'off',
  });
  const go = h('button', { type: 'submit', class: 'btn btn-primary send', 'aria-label': t('console.send') }, icon('send'));
  const hint = h('p', { id: 'composer-hint', class: 'composer-hint' });
  const node = h('form', { class: 'composer' },
    h('label', { class: 'sr', for: 'composer' }, t('console.composer_label')),
    h('div', { class: 'composer-box' }, area, go), hint);

  const grow = () => {
    area.style.height = 'auto';
    area.style.height = `${Math.min(area.scrollHeight, innerHeight * 0.4)}px`;
  };
  const put = (text) => {
    area.value = text;
    area.setSelectionRange(text.length, text.length);
    grow();
    keepDraft();
  };
  const keepDraft = () => {
    try {
      if (area.value) sessionStorage.setItem(DRAFT + place, area.value);
      else sessionStorage.removeItem(DRAFT + place);
    } catch {
      // a draft is only a comfort
    }
  };
  const submit = () => {
    const text = area.value.trim();
    if (!text) return;
    back = 0;
    put('');
    send(text);
  };
  const walk = (event, by) => {
    const texts = said();
    const next = Math.min(Math.max(back + by, 0), texts.length);
    if (next === back) return;
    if (back === 0) typed = area.value;
    back = next;
    event.preventDefault();
    put(back ? texts[texts.length - back] : typed);
  };

  node.addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  area.addEventListener('input', () => {
    back = 0;
    grow();
    keepDraft();
  });
  area.addEventListener('keydown', (event) => {
    if (event.isComposing || event.keyCode === 229) return; // an input method is choosing characters
    if (event.key === 'Enter' && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      submit();
    } else if (event.key === 'ArrowUp' && (back || !area.value)) walk(event, 1);
    else if (event.key === 'ArrowDown' && back) walk(event, -1);
  });
  const tell = () => {
    const open = state.connection.state === 'open';
    hint.textContent = t(open ? 'console.composer_hint' : 'console.composer_offline');
    node.classList.toggle('offline', !open);
  };
  scope.keep(on('connection', tell));
  tell();

  return {
    node,
    put,
    focus: () => area.focus({ preventScroll: true }),
    /** Change to another conversation: its draft comes back, or what is typed goes along. */
    move(key, carry) {
      place = key;
      back = 0;
      if (carry && area.value) return keepDraft();
      let draft = '';
      try {
        draft = sessionStorage.getItem(DRAFT + key) || '';
      } catch {
        // none
      }
      area.value = draft;
      requestAnimationFrame(grow);
      return undefined;
    },
  };
}
