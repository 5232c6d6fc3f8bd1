/** Which pages there are, for whom, and which stand together under one heading of the navigation. */
import { h } from './dom.js';
import { t } from './i18n.js';
import { state } from './store.js';

/** name, icon, the role that it takes if not everybody sees it, and the page that it stands under. */
const VIEWS = [
  ['chat', 'chat'], ['servers', 'server'], ['clusters', '', '', 'servers'], ['credentials', '', 'admin', 'servers'],
  ['approvals', 'shield'], ['policy', '', 'admin', 'approvals'], ['audit', 'list', 'admin'], ['usage', 'chart', 'admin'],
  ['people', 'people', 'admin'], ['keys', '', 'admin', 'people'], ['channels', '', 'admin', 'people'],
];

const mine = () => VIEWS.filter(([, , role]) => !role || state.me.user.role === role);

/** The views that my role shows. */
export const views = () => mine().map(([name]) => name);

/** Those of them that stand in the navigation, as [name, icon]. */
export const heads = () => mine().filter(([, , , head]) => !head);

/** Return under which entry of the navigation a view stands. */
export const headOf = (view) => VIEWS.find(([name]) => name === view)?.[3] || view;

/** Links to the pages that stand together with this one, nothing where it stands alone. */
export function tabs(view) {
  const together = mine().filter(([name]) => headOf(name) === headOf(view));
  if (together.length < 2) return null;
  return h('nav', { class: 'tabs', 'aria-label': t(`console.nav_${headOf(view)}`) }, together.map(([name]) =>
    h('a', { href: `#/${name}`, 'aria-current': name === view ? 'page' : null }, t(`console.nav_${name}`))));
}
