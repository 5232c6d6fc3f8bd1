/** Dialogs, form fields and passing messages. */
import { emit, on } from './bus.js';
import { copier } from './code.js';
import { add, button, fill, h, icon } from './dom.js';
import { t } from './i18n.js';

let count = 0;

/** Open a dialog; build(close) returns its content. Resolves with what close() was given. */
export function openDialog(title, build, { wide = false } = {}) {
  return new Promise((resolve) => {
    let answer;
    const id = `dialog-${(count += 1)}`;
    const close = (value) => {
      answer = value;
      node.close();
    };
    const node = h('dialog', { class: wide ? 'dialog wide' : 'dialog', 'aria-labelledby': id },
      h('header', { class: 'dialog-head' }, h('h2', { id }, title),
        h('button', { type: 'button', class: 'btn btn-ghost', 'aria-label': t('console.close'), onclick: () => close() }, icon('x'))));
    add(node, build(close));
    node.addEventListener('close', () => {
      node.remove();
      resolve(answer);
    });
    document.body.append(node);
    node.showModal();
    node.querySelector('[autofocus]')?.focus();
  });
}

/** Ask before something that matters; true when confirmed. */
export function confirmed(title, text, yes, { danger = true } = {}) {
  return openDialog(title, (close) => [
    h('div', { class: 'dialog-body' }, [].concat(text).map((line) => (line instanceof Node ? line : h('p', null, line)))),
    h('footer', { class: 'dialog-foot' },
      button(t('console.cancel'), { onclick: () => close(false), autofocus: true }),
      button(yes, { look: danger ? 'danger-solid' : 'primary', onclick: () => close(true), 'data-yes': '' })),
  ]).then(Boolean);
}

/** What the errors are about whose codes do not name their field. */
const ABOUT = [
  [/\.(name_taken|odd_name|name_reserved)$/, 'name'], [/^credential\.(not_a_key|encrypted|empty)$/, 'secret'],
  [/^credential\.bad_expiry$|\.expires_past$/, 'expires_at'], [/^server\.bad_read_account$/, 'read_user'],
  [/unreachable$|^server\.not_added/, 'host'], [/^cluster\.other_environment$/, 'cluster'], [/^channel\./, 'token'], [/^totp\./, 'code'],
];

/** Return the field that an error is about: it is pointed at, such as `/port`, or named, as by `server.bad_port`. */
function fieldOf(form, { code = '', errors = [] }) {
  const name = errors[0]?.pointer.split('/')[1] || ABOUT.find(([about]) => about.test(code))?.[1] || /\.bad_(\w+)$/.exec(code)?.[1];
  const found = name && form.elements.namedItem(name);
  return found instanceof RadioNodeList ? [...found].find((one) => !one.disabled) : found;
}

/** Say what is wrong beside its field, at the form's foot where it is about none; what hides the field is opened. */
function pointOut(form, error, problem) {
  const wrong = fieldOf(form, problem);
  const foot = form.querySelector('.dialog-foot');
  fill(error, icon('alert'), problem.message);
  error.hidden = false;
  if (!wrong?.closest('.field')) {
    foot.prepend(error);
    return;
  }
  wrong.closest('.field').append(error);
  reveal(wrong);
  wrong.setAttribute('aria-invalid', 'true');
  wrong.setAttribute('aria-describedby', error.id);
  wrong.addEventListener('input', () => {
    wrong.removeAttribute('aria-invalid');
    wrong.removeAttribute('aria-describedby');
    error.hidden = true;
  }, { once: true });
  wrong.focus();
}

/** Open what a field is folded away in: the browser cannot point at it there. */
function reveal(field) {
  const fold = field.closest('details');
  if (fold) fold.open = true;
}

/** A form in a dialog: submit(values) does the work; its error is shown and the form stays. */
export function formDialog(title, fields, label, submit, options) {
  return openDialog(title, (close) => {
    const error = h('p', { class: 'form-error', role: 'alert', hidden: true, id: `error-${(count += 1)}` });
    const go = button(label, { look: 'primary', type: 'submit' });
    const form = h('form', { class: 'form', autocomplete: 'off' },
      h('div', { class: 'dialog-body fields' }, fields),
      h('footer', { class: 'dialog-foot' }, error, button(t('console.cancel'), { onclick: () => close() }), go));
    form.addEventListener('invalid', (event) => reveal(event.target), true);
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      if (go.disabled) return;
      error.hidden = true;
      go.disabled = true;
      fill(go, t('console.sending'));
      try {
        close((await submit(Object.fromEntries(new FormData(form)))) ?? true);
      } catch (problem) {
        go.disabled = false;
        fill(go, label);
        pointOut(form, error, problem);
      }
    });
    return form;
  }, options);
}

/** A labelled field. */
export function field(label, input, hint) {
  input.id ||= `field-${(count += 1)}`;
  return h('div', { class: 'field' }, h('label', { class: 'field-label', for: input.id }, label), input,
    hint && h('p', { class: 'hint' }, hint));
}

/** A switch with its words, and what it means below. */
export function tick(name, label, hint, checked = false) {
  const box = h('input', { type: 'checkbox', name, id: `tick-${(count += 1)}`, checked: Boolean(checked) });
  const below = hint && h('p', { class: 'hint', id: `${box.id}-hint` }, hint);
  if (below) box.setAttribute('aria-describedby', below.id);
  return h('div', { class: 'field' }, h('label', { class: 'tick', for: box.id }, box, label), below);
}

/** A day on which something ends, or none. */
export const dayField = (label, hint) => field(label, h('input', { name: 'expires_at', type: 'date', min: new Date().toISOString().slice(0, 10) }), hint);

/** Return the end of a day that was chosen, null for none. */
export const endOf = (day) => (day ? `${day}T23:59:59Z` : null);

/** Show what is shown only once, with a way to copy it; nothing of it stays in the page. */
export async function showOnce(title, text, secret, label, ...more) {
  const line = h('input', { class: 'mono', readOnly: true, value: secret, 'aria-label': label, autocomplete: 'off', onfocus: (event) => event.target.select() });
  await openDialog(title, (close) => [
    h('div', { class: 'dialog-body' }, h('p', null, text), h('div', { class: 'copy-line' }, line, copier(() => secret, t('console.copy'))), more),
    h('footer', { class: 'dialog-foot' }, button(t('console.done'), { look: 'primary', onclick: () => close() })),
  ]);
  line.value = '';
}

/** A choice; options are [value, words] pairs. */
export function choice(name, options, value, props = {}) {
  return h('select', { name, ...props }, options.map(([key, label]) =>
    h('option', { value: key, selected: key === value }, label)));
}

/** Show a passing message. */
export function toast(text, bad = false) {
  const place = document.getElementById('toasts');
  const node = h('div', { class: bad ? 'toast bad' : 'toast' }, icon(bad ? 'alert' : 'check'), h('span', null, text));
  place.append(node);
  setTimeout(() => node.remove(), bad ? 9000 : 4000);
}

/** Run what a button does, once at a time, with its error shown. */
export async function working(node, act) {
  if (node.disabled) return undefined;
  node.disabled = true;
  node.setAttribute('aria-busy', 'true');
  try {
    return await act();
  } catch (error) {
    toast(error.message, true);
    return undefined;
  } finally {
    node.disabled = false;
    node.removeAttribute('aria-busy');
  }
}

/** Listen to what other parts want said. */
export function startToasts() {
  on('toast', ({ text, key, bad }) => toast(text ?? t(key), bad));
}

/** Say something in passing from anywhere. */
export const say = (text, bad = false) => emit('toast', { text, bad });
