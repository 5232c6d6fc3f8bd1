/** Markdown as a model writes it, as DOM: blocks line by line, then what stands within a line. */
import { codeBlock } from './code.js';
import { h } from './dom.js';

const INLINE = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|(https?:\/\/[^\s<>"'`，。；）)]+)/g;
const FENCE = /^ {0,3}(```+|~~~+)([\w+-]*)/;
const HEADING = /^#{1,6}\s+(.+?)\s*#*$/;
const ITEM = /^(\s*)(?:[-*+•]|(\d{1,9})[.)])\s+(.*)$/;
const RULE = /^ {0,3}([-*_])\s*(?:\1\s*){2,}$/;
const CELLS = /^\s*\|.*\|\s*$/;
const DASHES = /^\s*\|(?:\s*:?-+:?\s*\|)+\s*$/;
const QUOTE = /^ {0,3}>/;
const KINDS = [fenced, heading, rule, table, list, quote];
const DEEPEST = 6;

/** Return prose as blocks; what is no Markdown stands as it is. */
export function prose(text, depth = 0) {
  const lines = text.split('\n');
  const found = [];
  for (let at = 0; at < lines.length;) {
    if (!lines[at].trim()) { at += 1; continue; }
    const [node, next] = block(lines, at, depth) || paragraph(lines, at, depth);
    found.push(node);
    at = next;
  }
  return found;
}

/** Return [element, next line] of the block that begins at a line, or null where none does. */
function block(lines, at, depth) {
  for (const kind of KINDS) {
    const found = kind(lines, at, depth);
    if (found) return found;
  }
  return null;
}

function fenced(lines, at) {
  const open = FENCE.exec(lines[at]);
  if (!open) return null;
  let end = at + 1;
  while (end < lines.length && lines[end].trim() !== open[1]) end += 1;
  return [codeBlock(lines.slice(at + 1, end).join('\n'), open[2]), end + 1];
}

function heading(lines, at) {
  const found = HEADING.exec(lines[at]);
  return found && [h('p', { class: 'heading' }, inline(found[1])), at + 1];
}

function rule(lines, at) {
  return RULE.test(lines[at]) ? [h('hr'), at + 1] : null;
}

function table(lines, at) {
  if (!CELLS.test(lines[at]) || !DASHES.test(lines[at + 1] ?? '')) return null;
  let end = at + 2;
  while (end < lines.length && CELLS.test(lines[end])) end += 1;
  const row = (line, tag) => h('tr', null, cells(line).map((cell) => h(tag, null, inline(cell))));
  const body = lines.slice(at + 2, end).map((line) => row(line, 'td'));
  return [h('div', { class: 'table-wrap', tabindex: '0' },
    h('table', null, h('thead', null, row(lines[at], 'th')), h('tbody', null, body))), end];
}

/** Return a row's cells; a bar behind a backslash is one of the text. */
function cells(line) {
  return line.trim().slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** A list: what is indented below an entry belongs to it. */
function list(lines, at, depth) {
  const first = ITEM.exec(lines[at]);
  if (!first || depth >= DEEPEST) return null;
  const items = [];
  let next = at;
  for (let item = first; item; item = ITEM.exec(lines[next] ?? '')) {
    if (item[1].length < first[1].length || (item[2] === undefined) !== (first[2] === undefined)) break;
    let end = next + 1;
    while (end < lines.length && within(lines, end, first[1].length)) end += 1;
    const inside = [item[3], ...lines.slice(next + 1, end).map((line) => line.replace(/^ {1,4}|^\t/, ''))];
    const [own, ...rest] = prose(inside.join('\n'), depth + 1);
    items.push(h('li', null, own?.matches('p:not(.heading)') ? [...own.childNodes] : own, rest));
    next = end;
  }
  const numbered = first[2] !== undefined;
  return [h(numbered ? 'ol' : 'ul', numbered ? { start: first[2] } : null, items), next];
}

/** Whether a line goes on with a list's entry: it is indented further, or blank before one that is. */
function within(lines, at, indent) {
  const line = lines[at].trim() ? lines[at] : lines[at + 1] ?? '';
  return line.trim() !== '' && /^\s*/.exec(line)[0].length > indent;
}

function quote(lines, at, depth) {
  if (!QUOTE.test(lines[at]) || depth >= DEEPEST) return null;
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inside = lines.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, ''));
  return [h('blockquote', null, prose(inside.join('\n'), depth + 1)), end];
}

/** Whether a block other than a paragraph begins at a line. */
function begins(lines, at, depth) {
  const line = lines[at];
  if (FENCE.test(line) || HEADING.test(line) || RULE.test(line)) return true;
  if (CELLS.test(line)) return DASHES.test(lines[at + 1] ?? '');
  return depth < DEEPEST && (ITEM.test(line) || QUOTE.test(line));
}

function paragraph(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !begins(lines, end, depth)) end += 1;
  return [h('p', null, inline(lines.slice(at, end).join('\n'))), end];
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
