/** The audit log: newest first, read on demand, filtered among what is loaded. */
import { get, withCursor } from './api.js';
import { button, fill, h, icon } from './dom.js';
import { output, visible } from './escape.js';
import { full, t, tOr } from './i18n.js';
import { prose } from './prose.js';
import { loading, page, row, table } from './page.js';

/** Mount the page. */
export function mountAudit(root) {
  const columns = ['at', 'action', 'actor', 'approver', 'resource', 'command', 'from', 'detail'].map((name) => t(`console.audit_${name}`));
  const all = [];
  let next = null;
  const filter = h('input', {
    type: 'search', class: 'search', placeholder: t('console.audit_filter'), 'aria-label': t('console.audit_filter'), oninput: sift,
  });
  const count = h('span', { class: 'muted', role: 'status' });
  const more = button(t('console.load_more'), { onclick: () => read(), hidden: true });
  const place = h('div');
  root.append(page(t('console.nav_audit'), [filter, count], h('div', { class: 'prose muted' }, prose(t('console.audit_hint'))), place,
    h('div', { class: 'more' }, more)));
  let body = null;
  loading(place, async () => {
    const grid = table(t('console.nav_audit'), columns, []);
    body = grid.querySelector('tbody');
    await read();
    return all.length ? grid : h('p', { class: 'muted' }, t('console.audit_none'));
  });

  async function read() {
    more.disabled = true;
    try {
      const answer = await get(withCursor('audit', next));
      next = answer.next;
      for (const entry of answer.rows) {
        const node = row(columns, cells(entry));
        all.push({ entry, node, text: `${node.textContent} ${JSON.stringify(Object.values(entry))}`.toLowerCase() });
        body.append(node);
      }
      more.hidden = next === null;
      sift();
    } finally {
      more.disabled = false;
    }
  }

  function sift() {
    const wanted = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const one of all) {
      one.node.hidden = !wanted.every((word) => one.text.includes(word));
      if (!one.node.hidden) shown += 1;
    }
    fill(count, t('console.audit_count', { shown, loaded: all.length }));
  }
}

/** Return what was done in words. */
function actionOf({ action }) {
  const [about, what] = action.split('.');
  return tOr(`console.audit.${about}.${what}`, action);
}

function cells(entry) {
  const pre = h('pre', { class: 'output', tabindex: '0' });
  const filled = entry.detail && Object.keys(entry.detail).length > 0;
  return [
    h('time', { datetime: entry.at, class: 'nowrap' }, full(entry.at)),
    h('span', { title: entry.action }, actionOf(entry)),
    entry.actor, entry.approver, entry.about && h('span', { class: 'wrap' }, entry.about),
    entry.command && h('code', { class: 'audit-command', title: entry.command }, visible(entry.command, { breaks: true })),
    [entry.channel && tOr(`console.channel.${entry.channel}`, entry.channel), entry.ip].filter(Boolean).join(' · '),
    filled && h('details', {
      ontoggle: () => { if (!pre.firstChild) pre.append(...output(JSON.stringify(entry.detail, null, 2))); },
    }, h('summary', null, icon('chevron', 'turn'), `#${entry.seq}`), pre),
  ];
}
