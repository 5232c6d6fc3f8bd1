/** The second factor: set up, removed, and asked for where an approval takes it. */
import { get, post } from './api.js';
import { emit, on } from './bus.js';
import { copier } from './code.js';
import { field, formDialog, toast } from './dialog.js';
import { h } from './dom.js';
import { t } from './i18n.js';
import { press, state } from './store.js';

const SVG = 'http://www.w3.org/2000/svg';
const QUIET = 4; // modules around a code, which scanners want

const codeField = (hint) => field(t('console.totp_code'), h('input', {
  name: 'code', required: true, class: 'mono', title: t('console.totp_digits'), inputmode: 'numeric', pattern: '[0-9]{6}', maxlength: '6', autofocus: true, autocomplete: 'one-time-code',
}), hint);

/** Listen for approvals that take a code: once it is right, the button is pressed again. */
export function startStepUp() {
  on('step-up', async (pressed) => {
    if (document.querySelector('dialog[open]')) return;
    const { code = '', requester, grant_minutes: minutes } = state.approvals.get(pressed.slice(pressed.indexOf(':') + 1)) || {};
    const given = await formDialog(t('console.totp_title', { code }), [h('p', null, t('console.totp_asks')),
      pressed.startsWith('grant:') && h('p', { class: 'muted' }, t('console.grant_hint', { requester, minutes })), codeField()],
      t('console.approve'), (values) => post('me/totp/prove', { code: values.code }));
    if (given) press(pressed);
  });
}

/** Set a second factor up, or remove it. */
export async function secondFactor() {
  const { enrolled } = await get('me/totp');
  await (enrolled ? takeOff() : setUp());
}

async function takeOff() {
  const done = await formDialog(t('console.totp'), [h('p', null, t('console.totp_have')), codeField()],
    t('console.totp_remove'), (values) => post('me/totp/remove', { code: values.code }));
  if (done) toast(t('console.totp_removed'));
}

async function setUp() {
  const { secret, qr } = await post('me/totp');
  const line = h('input', { class: 'mono', readOnly: true, value: secret, 'aria-label': t('console.totp_secret'), autocomplete: 'off', onfocus: (event) => event.target.select() });
  const done = await formDialog(t('console.totp'), [
    h('p', null, t('console.totp_intro')), drawing(qr),
    h('div', { class: 'copy-line' }, line, copier(() => secret, t('console.copy'))),
    codeField(t('console.totp_first')),
  ], t('console.totp_confirm'), (values) => post('me/totp/confirm', { code: values.code }));
  line.value = '';
  if (!done) return;
  state.cardErrors.clear();
  emit('me'); // the cards that asked for it are drawn anew
  toast(t('console.totp_set'));
}

/** Draw a QR code: rows of 0 and 1 become squares of one path. */
function drawing(rows) {
  const size = rows.length + 2 * QUIET;
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${size} ${size}`);
  svg.setAttribute('class', 'qr');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', t('console.totp_qr'));
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', rows.flatMap((row, y) => [...row].map((cell, x) => (cell === '1' ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : ''))).join(''));
  svg.append(path);
  return svg;
}
