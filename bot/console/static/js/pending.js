/** Messages of mine that are not in the log yet: to be sent, being sent, accepted, or refused. */
import { button, fill, h, icon } from './dom.js';
import { t } from './i18n.js';
import * as outbox from './outbox.js';
import { deliver, state } from './store.js';

/** Draw what is pending in a conversation. key: its id, or ~thread for one that has none yet. */
export function drawPending(place, key, thread, composer) {
  const here = (one) =>
    one.conversation ? one.conversation === key : `~${one.thread}` === key || state.places.get(one.thread) === key;
  const shown = [];
  for (const [id, one] of state.arrived) {
    if (one.conversation !== key) continue;
    if (thread?.has(one.seq)) state.arrived.delete(id);
    else shown.push(bubble(one.text, 'sent'));
  }
  for (const entry of outbox.entries()) {
    if (entry.message.type === 'say' && here(entry.message) && !entry.matched) shown.push(unsent(entry));
  }
  for (const one of state.refusals.filter(here)) shown.push(refusal(one, composer, () => drawPending(place, key, thread, composer)));
  fill(place, shown);
}

/** A message came back in the log before its `accepted`: do not show it twice. */
export function matchSaid(events, conversation, first) {
  for (const { kind, user, body } of events) {
    if (first || kind !== 'said' || user !== state.me.user.name) continue;
    const entry = outbox.entries().find((one) => one.message.conversation === conversation &&
      one.message.text === body.text && one.sent && !one.matched);
    if (entry) entry.matched = true;
  }
}

function bubble(text, look, ...more) {
  return h('div', { class: `entry said own pending pending-${look}` }, h('div', { class: 'bubble' }, text), more);
}

function unsent(entry) {
  const old = outbox.stale(entry);
  const online = state.connection.state === 'open';
  const key = old ? 'console.not_sent' : online && entry.sent ? 'console.sending' : 'console.will_be_sent';
  const note = h('div', { class: 'meta', role: 'status' }, icon(old ? 'alert' : 'clock'), t(key));
  if (old && online) {
    note.append(button(t('console.send_now'), {
      look: 'ghost btn-small', onclick: () => { outbox.refresh(entry); deliver(entry); },
    }));
  }
  if (old || !entry.tried) {
    note.append(button(t('console.discard'), { look: 'ghost btn-small', onclick: () => outbox.forget(entry.message.id) }));
  }
  const { text, file } = entry.message;
  return bubble(file ? `${text}\n${t('console.attached', { name: file.name })}` : text, 'unsent', note);
}

function refusal(one, composer, redraw) {
  const drop = () => {
    state.refusals.splice(state.refusals.indexOf(one), 1);
    redraw();
  };
  return bubble(one.text, 'refused',
    h('div', { class: 'meta bad', role: 'alert' }, icon('alert'), one.message),
    h('div', { class: 'meta' },
      button(t('console.edit_again'), {
        look: 'ghost btn-small', onclick: () => { composer.put(one.text); composer.focus(); drop(); },
      }),
      button(t('console.dismiss'), { look: 'ghost btn-small', onclick: drop })));
}
