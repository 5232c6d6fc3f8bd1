/** A message with the text file that came with it, which its log holds between marks (core/messages.py). */
import { codeBlock } from './code.js';
import { h, icon } from './dom.js';
import { t } from './i18n.js';

const FRAMED = /^([\s\S]*?)\n\n<data-([0-9a-f]+)>\n(.*)\n([\s\S]*)\n<\/data-\2>$/;

/** Return the words of a message without what came with them. */
export const wordsOf = (text) => text.replace(FRAMED, '$1');

/** Return a message as nodes: its words, and its file to unfold. */
export function said(text) {
  const found = FRAMED.exec(text);
  if (!found) return text;
  const [, words, , name, content] = found;
  return [words, h('details', { class: 'file' },
    h('summary', { title: t('console.file_show') }, icon('attach'), name, icon('chevron', 'turn')), codeBlock(content, name))];
}
