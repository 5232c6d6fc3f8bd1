/** Making visible what hides: controls, direction marks, zero-width and look-alike blanks. */

// Prose keeps line breaks, tabs, joiners inside emoji and the no-break space; data keeps line breaks only.
const IN_WORDS = /[\p{Zl}\p{Zp}\p{Cs}\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const IN_DATA =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]|(?! )\p{Zs}|[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/gu;

/** Return one character as `\u202e`. */
function escaped(char) {
  const code = char.codePointAt(0);
  if (char === '\t') return '\\t';
  if (char === '\r') return '\\r';
  const hex = code.toString(16);
  return code > 0xffff ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`;
}

/** Return prose with what could reorder or hide it escaped. */
export function words(text) {
  return text.replace(/\r\n/g, '\n').replace(IN_WORDS, escaped);
}

/** Return data as nodes: each hidden character is a marked escape; nothing is left out. */
export function visible(text, { breaks = false } = {}) {
  const nodes = [];
  let from = 0;
  const mark = (shown, kind) => {
    const span = document.createElement('span');
    span.className = kind;
    span.textContent = shown;
    nodes.push(span);
  };
  for (const match of text.matchAll(IN_DATA)) {
    if (match[0] === '\n' && !breaks) continue;
    if (match.index > from) nodes.push(document.createTextNode(text.slice(from, match.index)));
    from = match.index + match[0].length;
    if (match[0] === '\n') {
      mark('↵', 'esc-break');
      nodes.push(document.createTextNode('\n'));
    } else mark(escaped(match[0]), 'esc');
  }
  if (from < text.length) nodes.push(document.createTextNode(text.slice(from)));
  return nodes;
}

/** Return a command's output as nodes: colour codes and carriage returns are the terminal's, the rest is shown. */
export function output(text) {
  // eslint-disable-next-line no-control-regex
  const plain = text.replace(/\u001b\[[0-9;]*m/g, '').replace(/\r\n?/g, '\n');
  const nodes = [];
  for (const [n, piece] of plain.split('\t').entries()) {
    if (n) nodes.push(document.createTextNode('\t'));
    nodes.push(...visible(piece));
  }
  return nodes;
}
