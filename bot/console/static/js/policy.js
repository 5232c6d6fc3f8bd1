/** The tenant's policy: what it raises above the rules, and programs of its own; entries can be removed here. */
import { get, remove } from './api.js';
import { confirmed, toast, working } from './dialog.js';
import { button, h } from './dom.js';
import { t } from './i18n.js';
import { emptyState, loading, page, table } from './page.js';
import { tabs } from './views.js';

/** Mount the page. */
export function mountPolicy(root) {
  const place = h('div');
  const again = () => loading(place, list);
  root.append(page(t('console.nav_policy'), null, tabs('policy'), h('p', { class: 'muted' }, t('console.policy_hint')), place));
  again();

  async function list() {
    const policy = await get('policy');
    const entries = [...Object.entries(policy.tighten).map(tightening), ...Object.entries(policy.program).map(own)];
    if (!entries.length) return emptyState('shield', t('console.policy_none'));
    const columns = ['name', 'what', 'level', 'reason', 'actions'].map((name) => t(`console.policy_${name}`));
    return h('div', null, h('p', { class: 'muted' }, t('console.policy_version', { version: policy.version })),
      table(t('console.nav_policy'), columns, entries.map((entry) => cells(entry, again))));
  }
}

/** An entry that raises: what it speaks of, and where it holds. */
function tightening([name, entry]) {
  const what = entry.command || [entry.program, entry.subcommand, entry.path].filter(Boolean).join(' ');
  const where = [entry.environments?.join(', '), entry.servers && `≥ ${entry.servers}`].filter(Boolean).join(' · ');
  return { name, what, where, level: `≥ L${entry.level}`, reason: entry.reason };
}

/** A program of the tenant's own, with its subcommands and their levels. */
function own([name, entry]) {
  const uses = (program, use) => [
    [program, use.shared, use.flags, use.args].filter(Boolean).join(' ') + ` (L${use.level})`,
    ...Object.entries(use.sub || {}).flatMap(([verb, inner]) => uses(`${program} ${verb}`, inner)),
  ];
  const lines = uses(name, entry);
  const levels = lines.map((line) => line.at(-2));
  const least = levels.reduce((a, b) => (a < b ? a : b));
  const most = levels.reduce((a, b) => (a > b ? a : b));
  return { name, what: lines.join('\n'), where: '', level: least === most ? `L${most}` : `L${least}–L${most}`, reason: entry.reason };
}

function cells(entry, again) {
  return [
    h('b', null, entry.name),
    h('div', null, entry.what.split('\n').map((line) => h('div', null, h('code', null, line))), entry.where && h('p', { class: 'muted' }, entry.where)),
    entry.level, entry.reason,
    button(t('console.policy_remove'), { look: 'ghost btn-small', onclick: (event) => working(event.currentTarget, () => drop(entry, again)) }),
  ];
}

async function drop({ name }, again) {
  if (!(await confirmed(t('console.policy_remove'), t('console.policy_remove_sure', { name }), t('console.policy_remove')))) return;
  await remove(`policy/${encodeURIComponent(name)}`);
  toast(t('console.saved'));
  again();
}
