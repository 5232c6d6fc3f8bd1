/** One conversation's events as this page knows them: in order, without repeats, without gaps. */
const STUCK_MS = 5000;
const QUIET_MS = 8000;

/** A conversation's log. ask(after) sends `open`; changed(what) tells the view. */
export class Thread {
  events = [];
  running = null;
  loaded = false;
  more = false;
  live = null;
  denied = '';
  #seen = new Set();
  #asked = -1;
  #stuck = 0;
  #quiet = 0;

  constructor(id, { ask, changed }) {
    this.id = id;
    this.ask = ask;
    this.changed = changed;
  }

  /** The last sequence number that is here. */
  get last() {
    return this.events.length ? this.events[this.events.length - 1].seq : 0;
  }

  /** The first sequence number that is here. */
  get first() {
    return this.events.length ? this.events[0].seq : 0;
  }

  /** Return whether an event is here. */
  has(seq) {
    return this.#seen.has(seq);
  }

  /** Subscribe, from what is here on. */
  open() {
    this.#asked = -1;
    this.ask(this.last);
  }

  /** Forget everything and read it anew (the reader's language changed, or a gap would not close). */
  reset() {
    this.events = [];
    this.#seen.clear();
    this.#asked = -1;
    this.loaded = false;
    this.denied = '';
    this.live = null;
    this.changed({ kind: 'reset' });
    this.ask(0);
  }

  /** There is no such conversation, or it is not mine: keep the sentence that says so. */
  deny(message) {
    this.denied = message;
    this.changed({ kind: 'denied' });
  }

  /** Take an `events` message in. */
  take(message) {
    const fresh = this.#unseen(message.events);
    if (this.loaded && fresh.length && fresh[0].seq > this.last + 1) return this.#gap();
    clearTimeout(this.#stuck);
    this.#stuck = 0;
    const first = !this.loaded;
    this.loaded = true;
    const later = fresh.filter((event) => event.seq > this.last);
    const earlier = fresh.filter((event) => event.seq < this.first);
    this.#insert(fresh);
    this.running = this.#turnOf(message.running);
    this.#listen();
    if (first) this.more = this.first > 1;
    if (!this.running) this.live = null;
    if (earlier.length) this.changed({ kind: 'reset' });
    else this.changed({ kind: 'events', events: later, first });
    return undefined;
  }

  /** Take older events in, as the events route gave them. */
  takeOlder(events, more) {
    const fresh = this.#unseen(events);
    this.#insert(fresh);
    this.more = more && fresh.length > 0;
    this.changed({ kind: 'older', events: fresh });
  }

  /** Take a live piece in; it is decoration and may be lost. */
  takeLive(message) {
    this.live = message.turn;
    this.#listen();
    if (!this.running && this.loaded) this.running = message.turn;
    this.changed({ kind: 'live', message });
  }

  /** Return the running turn's id, also where the server names it by the number of its message. */
  #turnOf(running) {
    if (typeof running !== 'number') return running ?? null;
    return this.events.find((event) => event.seq === running)?.turn ?? String(running);
  }

  /** The end of a turn may bring no event: while one runs and is quiet, ask how it stands. */
  #listen() {
    clearTimeout(this.#quiet);
    if (this.running && this.loaded) this.#quiet = setTimeout(() => this.running && this.ask(this.last), QUIET_MS);
  }

  #unseen(events) {
    return events.filter((event) => !this.#seen.has(event.seq)).sort((a, b) => a.seq - b.seq);
  }

  #insert(fresh) {
    for (const event of fresh) this.#seen.add(event.seq);
    this.events = [...this.events, ...fresh];
    if (fresh.length && fresh[0].seq < this.events[this.events.length - fresh.length - 1]?.seq) {
      this.events.sort((a, b) => a.seq - b.seq);
    }
  }

  /** Ask for what is missing, once; if that does not help, read the conversation anew. */
  #gap() {
    if (this.#asked === this.last) {
      this.#stuck ||= setTimeout(() => this.reset(), STUCK_MS);
      return;
    }
    this.#asked = this.last;
    this.ask(this.last);
  }
}
