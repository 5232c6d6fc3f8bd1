/** A message's parts as DOM: sentences, prose, and monospaced data. */
import { codeBlock } from './code.js';
import { h } from './dom.js';
import { prose } from './prose.js';

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
