/** A message's parts as DOM: words with a little Markdown, and monospaced data. */
import { button, h, icon } from './dom.js';
import { output, words } from './escape.js';
import { t } from './i18n.js';

const INLINE = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|(https?:\/\/[^\s<>"'`，。；）)]+)/g;
const GAP = /\n\[… (\d+) B …\]\n/; // how a run keeps that the middle of its output is missing
const FENCE = /^```([\w+-]*)[ \t]*\n([\s\S]*?)^```[ \t]*$/gm;

/** Return a message's parts. */
export function parts(list) {
  return (list || []).map((part) => {
    if ('code' in part) return codeBlock(part.code, part.title);
    return part.plain ? sentence(part.text ?? '') : prose(part.text ?? '');
  });
}

/** Return one of it0's own sentences: data stands in it, so nothing of it is markup or a link. */
function sentence(text) {
  return text.trim() ? [h('p', { class: /^\s*[•-] /.test(text) ? 'item' : null }, text)] : [];
}

/** Return prose: fenced blocks, headings, bold, code and links to this console; the rest as it is. */
export function prose(text) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(FENCE)) {
    found.push(...paragraphs(text.slice(from, match.index)), codeBlock(match[2].replace(/\n$/, ''), match[1]));
    from = match.index + match[0].length;
  }
  found.push(...paragraphs(text.slice(from)));
  return found;
}

function paragraphs(text) {
  return text
    .split(/\n{2,}/)
    .filter((block) => block.trim())
    .map((block) => {
      const heading = /^#{1,6}\s+(.+)$/.exec(block.trim());
      if (heading) return h('p', { class: 'heading' }, inline(heading[1]));
      return h('p', { class: /^\s*[•-] /.test(block) ? 'item' : null }, inline(block.replace(/^\n+|\n+$/g, '')));
    });
}

function inline(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    nodes.push(text.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[1]) nodes.push(h('code', null, match[1]));
    else if (match[2]) nodes.push(h('strong', null, match[2]));
    else nodes.push(link(match[3]));
  }
  nodes.push(text.slice(from));
  return nodes;
}

/** Only this console's own addresses become links: an address in data may lead anywhere. */
function link(address) {
  const own = address === location.origin || address.startsWith(`${location.origin}/`);
  return own ? h('a', { href: address, target: '_blank', rel: 'noopener noreferrer' }, address) : address;
}

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
