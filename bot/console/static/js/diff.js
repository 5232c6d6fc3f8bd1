/** The change of a file, line by line: what goes, what comes, and what stays around it. */
import { h } from './dom.js';
import { visible } from './escape.js';
import { t } from './i18n.js';

const HEAD = 3; // which text takes the place of which, and both names
const LOOKS = { '+': 'diff-new', '-': 'diff-old', '@': 'diff-where', '\\': 'diff-where' };

/** Return a change whole: every hidden character shown, each line as what it is. */
export function diff(text) {
  const line = (one, n) => {
    const node = h('span', { class: `diff-line ${n < HEAD ? 'diff-where' : LOOKS[one[0]] || ''}` });
    node.append(...visible(one));
    return node;
  };
  return h('pre', { class: 'command diff', tabindex: '0', 'aria-label': t('console.card_change') },
    h('code', null, text.split('\n').map(line)));
}
