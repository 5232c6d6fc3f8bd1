/** Usage: what the models have cost, day by day, and what is used of the plan. */
import { all, get } from './api.js';
import { choice } from './dialog.js';
import { h } from './dom.js';
import { lang, t } from './i18n.js';
import { emptyState, loading, page, table } from './page.js';

const SPANS = [7, 30, 90];
const PLANS = { 'self-hosted': 'self_hosted' }; // whose names are no names of sentences

/** Mount the page. */
export function mountUsage(root) {
  const plan = h('div', { class: 'quotas' });
  const place = h('div');
  const span = choice('days', SPANS.map((days) => [String(days), t('console.usage_days', { days })]), '30', {
    'aria-label': t('console.usage_span'), class: 'span', onchange: () => loading(place, list),
  });
  root.append(page(t('console.nav_usage'), span, h('section', null, h('h2', null, t('console.usage_by_day')), place),
    h('section', null, h('h2', null, t('console.usage_plan')), plan)));
  loading(place, list);
  loading(plan, async () => {
    const tenant = await get('tenant');
    return [h('p', { class: 'muted' }, t('console.usage_plan_is', { plan: t(`console.plan_${PLANS[tenant.plan] || tenant.plan}`) })),
      h('ul', { class: 'meters' }, tenant.quotas.map(quota))];
  });

  async function list() {
    const rows = await all(`usage?days=${span.value}`, 'rows');
    if (!rows.length) return emptyState('chart', t('console.usage_none'));
    const days = byDay(rows);
    const most = Math.max(...days.map((day) => day.tokens), 1);
    const columns = ['day', 'share', 'models', 'calls', 'input', 'output', 'usd'].map((name) => t(`console.usage_${name}`));
    const total = sum(rows);
    return table(t('console.usage_by_day'), columns, [
      ...days.map((day) => [h('b', { class: 'nowrap' }, dayOf(day.day)),
        h('progress', { max: String(most), value: day.tokens, 'aria-label': t('console.usage_share') }),
        h('div', null, day.rows.map((row) => h('p', { class: 'muted wrap' }, `${row.engine} · ${row.model}`))), ...figures(day)]),
      [h('b', null, t('console.usage_total')), null, null, ...figures(total).map((cell) => h('b', null, cell))],
    ]);
  }
}

/** Return the rows of each day together, the newest day first. */
function byDay(rows) {
  const days = new Map();
  for (const row of rows) days.set(row.day, [...(days.get(row.day) || []), row]);
  return [...days].map(([day, of]) => ({ day, rows: of, ...sum(of) }));
}

function sum(rows) {
  const add = (name) => rows.reduce((all, row) => all + row[name], 0);
  const [input, output] = [add('input_tokens'), add('output_tokens')];
  return { calls: add('calls'), input, output, tokens: input + output, usd: add('usd') };
}

const number = (value, options) => new Intl.NumberFormat(lang() === 'zh' ? 'zh-CN' : 'en-GB', options).format(value);
const figures = ({ calls, input, output, usd }) => [number(calls), number(input), number(output),
  number(usd, { minimumFractionDigits: 4, maximumFractionDigits: 4 })];

/** A day as it0 counts it, in UTC. */
const dayOf = (day) => new Intl.DateTimeFormat(lang() === 'zh' ? 'zh-CN' : 'en-GB', { dateStyle: 'medium', timeZone: 'UTC' }).format(new Date(`${day}T00:00Z`));

/** One quota: a bar where there is a limit, and the figures in words. */
function quota({ name, used, limit }) {
  const words = limit === null ? t('console.quota_free', { used }) : t('console.quota_of', { used, limit });
  const full = limit !== null && used >= limit;
  return h('li', { class: full ? 'meter full' : 'meter' }, h('span', null, t(`console.quota_${name}`)),
    h('span', { class: 'muted' }, words, full && ` · ${t('console.quota_full')}`),
    limit !== null && h('progress', { max: String(Math.max(limit, 1)), value: Math.min(used, limit), 'aria-label': `${t(`console.quota_${name}`)}: ${words}` }));
}
