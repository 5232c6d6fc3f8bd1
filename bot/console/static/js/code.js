/** Monospaced data as DOM: with its gaps, its title, and a button that copies it. */
import { button, h, icon } from './dom.js';
import { output, words } from './escape.js';
import { t } from './i18n.js';

const GAP = /\n\[… (\d+) B …\]\n/; // how a run keeps that the middle of its output is missing

/** Return the line that stands where output was left out. */
export const cutMark = (text) => h('span', { class: 'cut' }, `✂ ${text}`);

/** Return output as nodes, with a clear mark where some of it was left out. */
function whole(code) {
  const cut = code.startsWith('…');
  const nodes = cut ? [cutMark(t('console.output_cut'))] : [];
  const pieces = (cut ? code.slice(1) : code).split(GAP);
  for (const [n, piece] of pieces.entries()) {
    if (n % 2) nodes.push(cutMark(t('console.output_gap', { bytes: Number(piece).toLocaleString('en') })));
    else nodes.push(...output(piece));
  }
  return nodes;
}

/** Return a block of data with its title and a copy button. */
export function codeBlock(code, title = '') {
  const lines = code.split('\n').length;
  const pre = h('pre', { class: 'output', tabindex: lines > 12 ? '0' : null, 'aria-label': title || null });
  pre.append(...whole(code));
  return h('figure', { class: 'block' },
    h('figcaption', null, h('span', { class: 'block-title' }, title), copier(() => code)), pre);
}

/** Return a button that copies a text. */
export function copier(read, label = t('console.copy')) {
  const node = button(label, {
    look: 'ghost btn-small copy',
    icon: 'copy',
    onclick: async () => {
      await copy(read());
      node.replaceChildren(icon('check'), t('console.copied'));
      setTimeout(() => node.replaceChildren(icon('copy'), words(label)), 1500);
    },
  });
  return node;
}

/** Put a text on the clipboard, also where the page is not a secure context. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h('textarea', { class: 'sr', value: text });
    (document.querySelector('dialog[open]') || document.body).append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}
