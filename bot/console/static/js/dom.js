/** Building DOM: every string becomes a text node, never HTML. */
import { words } from './escape.js';

const SVG = 'http://www.w3.org/2000/svg';
const PROPERTIES = new Set(['value', 'disabled', 'checked', 'hidden', 'open', 'readOnly', 'selected', 'required']);

/** Make an element: `on…` functions are listeners, a few names are properties, the rest attributes. */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) node[name] = value;
    else if (name === 'style') throw new Error('styles are set by class');
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  return add(node, children);
}

/** Append children, skipping the empty ones. */
export function add(node, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === '') continue;
    node.append(child instanceof Node ? child : document.createTextNode(words(String(child))));
  }
  return node;
}

/** Replace what a node holds. */
export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, ...children);
}

const ICONS = {
  chat: 'M4 5h16v11H9l-5 4z',
  server: 'M4 4h16v7H4zM4 13h16v7H4zM8 7.5h.01M8 16.5h.01',
  shield: 'M12 3l8 3v6c0 5-3.5 8-8 9-4.5-1-8-4-8-9V6zM8.5 12l2.5 2.5 4.5-5',
  list: 'M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01',
  people: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-3.5 3-6 6.5-6s6.5 2.5 6.5 6M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.5c2 .8 3.5 2.800 3.5 5.5',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  x: 'M6 6l12 12M18 6L6 18',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.5 2',
  pause: 'M8 5v14M16 5v14',
  ban: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM6 6l12 12',
  alert: 'M12 3.5L22 20H2zM12 10v4M12 17h.01',
  plus: 'M12 5v14M5 12h14',
  send: 'M12 19V5M6 11l6-6 6 6',
  stop: 'M7 7h10v10H7z',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  back: 'M14 6l-6 6 6 6',
  down: 'M12 5v14M6 13l6 6 6-6',
  chevron: 'M9 6l6 6-6 6',
  halt: 'M8 3h8l5 5v8l-5 5H8l-5-5V8zM9 12h6',
  user: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c0-4 3.5-7 8-7s8 3 8 7',
  layers: 'M12 3l9 5-9 5-9-5zM3 12l9 5 9-5M3 16l9 5 9-5',
  chart: 'M4 20h16M7 16v-5M12 16V5M17 16V8',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  key: 'M8 20a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM11.2 12.3L20 3.5M16 7.5l3.5 3.5',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5',
};

/** Make a decorative icon; what it means always stands beside it in words. */
export function icon(name, extra = '') {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', `icon ${extra}`.trim());
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name] || '');
  svg.append(path);
  return svg;
}

/** Make a button with an optional icon. */
export function button(label, { look = 'plain', icon: name, onclick, ...rest } = {}) {
  return h('button', { type: 'button', class: `btn btn-${look}`, onclick, ...rest }, name && icon(name), label);
}

/** Collect what a view has to undo when it goes. */
export class Scope {
  #undo = [];
  /** Remember an undo function. */
  keep(undo) {
    this.#undo.push(undo);
  }
  /** Listen to a DOM target for as long as the view stands. */
  listen(target, type, listener, options) {
    target.addEventListener(type, listener, options);
    this.keep(() => target.removeEventListener(type, listener, options));
  }
  /** Undo everything. */
  end() {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }
}
