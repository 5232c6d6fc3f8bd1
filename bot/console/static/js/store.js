/** What the page knows, and the one place that talks to the server about it. */
import { all, get, setCsrf, withCursor } from './api.js';
import { emit } from './bus.js';
import * as outbox from './outbox.js';
import { Socket } from './socket.js';
import { Thread } from './thread.js';

export const state = {
  me: null,
  connection: { state: 'off', until: 0 },
  conversations: [],
  listed: false,
  approvals: new Map(),
  pending: [],
  arrived: new Map(), // accepted messages whose event is still to come: event id -> {conversation, seq, text}
  refusals: [], // refused messages: {id, conversation, thread, text, message}
  cardErrors: new Map(), // why a decision did not count: approval id -> {message, why}
  places: new Map(), // thread of a new conversation -> its id
};
const threads = new Map();
const IDS = 50;
let socket = null;
let current = null;
let listing = 0;

/** Begin: read who I am was done; open the outbox and the socket. */
export function start(me) {
  takeMe(me);
  outbox.openOutbox(me.user.id);
  socket = new Socket('/ws/agent', { onState: connection, onMessage: take, onClose: refreshMe });
  socket.now();
}

/** End: the session is over. */
export function stop() {
  socket?.end();
}

/** Connect again: at once, or for a new language. */
export const reconnect = (renew = false) => (renew ? socket?.renew() : socket?.now());

function takeMe(me) {
  state.me = me;
  setCsrf(me.csrf);
  emit('me');
}

/** Read again who I am, my role, and whether everything is halted. */
export async function refreshMe() {
  try {
    takeMe(await get('me'));
  } catch {
    // shown by the connection state, or the session's end
  }
}

/** Read my conversations again. */
export async function refreshConversations() {
  try {
    state.conversations = (await get('conversations')).conversations;
    state.listed = true;
    emit('conversations');
  } catch {
    // read again at the next change or reconnect
  }
}

/** Read my conversations again soon: their titles and order follow what was just said. */
function listSoon() {
  clearTimeout(listing);
  listing = setTimeout(refreshConversations, 300);
}

let reading = false; // the pending approvals are being read,
let again = false; // and something changed meanwhile

/** Read the pending approvals again, and what became of those that are pending no more. */
export async function refreshApprovals() {
  if (reading) {
    again = true;
    return;
  }
  reading = true;
  try {
    const approvals = await all('approvals?status=pending', 'approvals');
    for (const approval of approvals) takeApproval(approval);
    state.pending = [...new Set(approvals.map((approval) => approval.id))];
    const waits = new Set(state.pending);
    await readApprovals([...state.approvals.values()].filter((one) => one.status === 'pending' && !waits.has(one.id)));
    emit('approvals');
  } catch {
    // read again at the next change or reconnect
  } finally {
    reading = false;
  }
  if (again) {
    again = false;
    await refreshApprovals();
  }
}

/** Read certain approvals again. */
async function readApprovals(known) {
  for (let from = 0; from < known.length; from += IDS) {
    const ids = known.slice(from, from + IDS).map((one) => encodeURIComponent(one.id)).join(',');
    const { approvals } = await get(`approvals?ids=${ids}`);
    for (const approval of approvals) takeApproval(approval);
  }
}

/** Read again how the acts stand that were under way: only a conversation's own pages are told. */
export async function refreshActs() {
  try {
    await readApprovals([...state.approvals.values()].filter((one) => one.act?.state === 'running'));
  } catch {
    // read again soon
  }
}

/** Take an approval in; what is settled or over never becomes open again by an older answer. */
export function takeApproval(approval) {
  const known = state.approvals.get(approval.id);
  if (known?.act && known.act.state !== 'running' && approval.act?.state === 'running') return;
  if (known && known.status !== 'pending' && approval.status === 'pending') return;
  if (known?.status === 'pending' && approval.status === 'pending' && approval.approvals < known.approvals) return;
  state.approvals.set(approval.id, approval);
  emit('approval', approval.id);
  emit('approvals');
}

/** Return the pending approvals that I may decide. */
export function mine() {
  return state.pending
    .map((id) => state.approvals.get(id))
    .filter((approval) => approval?.status === 'pending' && approval.may_decide);
}

/** Return a conversation's thread, subscribed. */
export function openThread(id) {
  current = id;
  let thread = threads.get(id);
  if (!thread) {
    thread = new Thread(id, {
      ask: (after) => socket.send({ type: 'open', conversation: id, after }),
      changed: (change) => emit(`thread:${id}`, change),
    });
    threads.set(id, thread);
  }
  if (!thread.subscribed && state.connection.state === 'open') {
    thread.subscribed = true;
    thread.open();
  }
  return thread;
}

/** Let a thread go: a long one is read again when it is opened next. */
export function leaveThread(id) {
  if (current === id) current = null;
  if (threads.get(id)?.events.length > 600) threads.delete(id);
}

/** Read older events of a thread. */
export async function loadOlder(thread) {
  const answer = await get(withCursor(`conversations/${encodeURIComponent(thread.id)}/events`, thread.first));
  takeEvents(answer.events);
  thread.takeOlder(answer.events, answer.next !== null);
}

/** Read every open conversation anew (the language changed). */
export function resetThreads() {
  for (const [id, thread] of threads) if (id !== current) threads.delete(id);
    else thread.reset();
}

/** Say something; conversation null begins a new one under `thread`. file: {name, text} that goes with it. */
export function say(conversation, thread, text, file = null) {
  deliver(outbox.keep({ type: 'say', id: outbox.newId(), conversation, thread, text, ...(file && { file }) }));
}

/** Press a button, once: until it is accepted or refused it stays pressed. */
export function press(value) {
  if (outbox.pressed(value)) return;
  const id = approvalOf(value);
  if (id) state.cardErrors.delete(id);
  deliver(outbox.keep({ type: 'click', id: outbox.newId(), button: value }));
}

/** Stop what runs in a conversation; never sent for a turn later than the one it was pressed for. */
export function stopTurn(conversation, turn) {
  const open = outbox.entries().some((e) => e.message.type === 'stop' && e.message.conversation === conversation);
  if (open) return;
  deliver(outbox.keep({ type: 'stop', id: outbox.newId(), conversation, turn }, { volatile: true }));
}

/** Withdraw what waits in a conversation of mine. */
export const withdraw = (conversation) => stopTurn(conversation, null);

/** Return whether a conversation is here and nothing runs in it. */
export const isQuiet = (id) => Boolean(threads.get(id)?.loaded) && !threads.get(id).running;

/** Send an entry now if there is a connection; it stays in the outbox until the server has it. */
export function deliver(entry) {
  if (socket?.send(entry.message)) outbox.sent(entry);
  emit('outbox');
}

const approvalOf = (value) => /^(?:approve|grant|reject):(.+)$/.exec(value || '')?.[1];

function connection(now) {
  state.connection = now;
  if (now.state !== 'open') for (const thread of threads.values()) thread.subscribed = false;
  for (const entry of outbox.entries()) entry.sent = false;
  emit('connection');
  if (now.state === 'open') connected();
}

/** After each connect: say everything again that is not accepted, and read what was missed. */
function connected() {
  socket.send({ type: 'feed' });
  for (const entry of outbox.entries()) {
    const { type, conversation, turn } = entry.message;
    if (type === 'stop' && (threads.get(conversation)?.running ?? null) !== turn) outbox.forget(entry.message.id);
    else if (!outbox.stale(entry)) deliver(entry);
    else if (type === 'click') {
      outbox.forget(entry.message.id);
      emit('toast', { key: 'console.stale_click' });
    }
  }
  if (current) openThread(current);
  refreshMe();
  refreshConversations();
  refreshApprovals();
}

function takeEvents(events) {
  for (const event of events) if (event.body?.approval) takeApproval(event.body.approval);
}

function take(message) {
  switch (message.type) {
    case 'accepted':
      return accepted(message);
    case 'refused':
      return refused(message);
    case 'events':
      takeEvents(message.events);
      if (message.events.some((event) => event.kind === 'reply')) listSoon();
      return threads.get(message.conversation)?.take(message);
    case 'live':
      return threads.get(message.conversation)?.takeLive(message);
    case 'changed':
      if (message.what === 'approvals') refreshApprovals();
      else if (message.what === 'grants') emit('grants');
      else if (message.what === 'conversations') listSoon();
      else refreshMe();
      return undefined;
    default:
      return undefined;
  }
}

function accepted({ id, conversation, seq }) {
  const entry = outbox.entry(id);
  if (!entry) return;
  const { type, text, thread, button } = entry.message;
  if (type === 'say') {
    if (!threads.get(conversation)?.has(seq)) state.arrived.set(id, { conversation, seq, text });
    if (!entry.message.conversation) {
      state.places.set(thread, conversation);
      emit('placed', { thread, conversation });
    }
    listSoon();
  } else if (type === 'click') outbox.rest(button);
  outbox.forget(id);
}

function refused({ id, message, code, conversation: place, button, why }) {
  if (place && code === 'error.no_such_conversation') {
    threads.get(place)?.deny(message);
    return;
  }
  const entry = id ? outbox.forget(id) : null;
  if (entry?.message.type === 'say') {
    const { conversation, thread, text } = entry.message;
    state.refusals.push({ id, conversation, thread, text, message });
    emit('outbox');
    return;
  }
  const pressed = entry?.message.button ?? button;
  const approval = approvalOf(pressed);
  if (approval) {
    // Every page of mine hears it; the one where I pressed asks.
    if (why === 'approval.step_up' && outbox.pressed(pressed)) emit('step-up', pressed);
    else state.cardErrors.set(approval, { message, why });
    outbox.wake(pressed);
    emit('approval', approval);
    refreshApprovals();
  }
  if (!approval || !document.querySelector(`[data-approval="${CSS.escape(approval)}"]`)) emit('toast', { text: message, bad: true });
}
