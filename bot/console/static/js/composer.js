/** The box one types in: Enter sends, Shift+Enter breaks the line, Up brings back what was said. */
import { on } from './bus.js';
import { button, fill, h, icon } from './dom.js';
import { t } from './i18n.js';
import { state } from './store.js';

const DRAFT = 'it0.draft.';

/** Return a file as {name, text}, or the words for why it is not read. */
async function read(file) {
  const limit = state.me.file_bytes;
  if (!limit) return t('console.file_off', { name: file.name });
  if (file.size > limit) return t('console.file_large', { name: file.name, limit });
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
    if (!text.includes('\0')) return { name: file.name, text };
  } catch {
    // no text, or gone by now
  }
  return t('console.file_no_text', { name: file.name });
}

/** Make a composer. said(): earlier texts, oldest first; send(text, file) takes a message. */
export function makeComposer({ said, send }, scope) {
  let place = '';
  let back = 0;
  let typed = '';
  let file = null;
  const area = h('textarea', {
    id: 'composer', rows: '1', placeholder: t('console.composer_placeholder'), 'aria-describedby': 'composer-hint',
    enterkeyhint: 'send', autocomplete: 'off',
  });
  const go = h('button', { type: 'submit', class: 'btn btn-primary send', 'aria-label': t('console.send') }, icon('send'));
  const picker = h('input', { type: 'file', hidden: true, id: 'attachment' });
  const attach = h('button', { type: 'button', class: 'btn btn-ghost attach', 'aria-label': t('console.attach'),
    title: t('console.attach'), onclick: () => picker.click() }, icon('attach'));
  const attached = h('div', { class: 'attached', role: 'status', hidden: true });
  const hint = h('p', { id: 'composer-hint', class: 'composer-hint' });
  const node = h('form', { class: 'composer' },
    h('label', { class: 'sr', for: 'composer' }, t('console.composer_label')),
    attached, h('div', { class: 'composer-box' }, attach, picker, area, go), hint);

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
  const hold = (next, words = '') => {
    file = next;
    attached.hidden = !file && !words;
    fill(attached, file
      ? [h('span', { class: 'with-icon' }, icon('attach'), t('console.attached', { name: file.name })),
        button('', { look: 'ghost btn-small', icon: 'x', 'aria-label': t('console.detach', { name: file.name }), onclick: () => hold(null) })]
      : h('span', { class: 'bad' }, words));
  };
  const take = async (files) => {
    if (!files.length) return;
    const found = await read(files[0]);
    if (typeof found === 'string') hold(file, found);
    else hold(found);
    if (file && files.length > 1) attached.append(h('span', { class: 'muted' }, t('console.file_one', { name: file.name })));
    area.focus({ preventScroll: true });
  };
  const submit = () => {
    const text = area.value.trim();
    if (!text && !file) return;
    if (file && /^[/／、]\S/.test(text)) {
      attached.append(h('span', { class: 'bad', role: 'alert' }, t('console.file_no_command', { name: file.name })));
      return;
    }
    const sent = file;
    back = 0;
    put('');
    hold(null);
    send(text, sent);
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

  picker.addEventListener('change', () => {
    take([...picker.files]);
    picker.value = '';
  });
  scope.listen(document, 'dragover', (event) => {
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
  });
  scope.listen(document, 'drop', (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
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
      if (carry) return area.value ? keepDraft() : undefined;
      hold(null);
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
