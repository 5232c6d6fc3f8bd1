/** The WebSocket: reconnects by itself, notices a dead line, and says what state it is in. */
const WAITS = [1, 2, 4, 8, 16];
const PING_MS = 15_000;
const DEAD_MS = 45_000;
const HELLO_MS = 10_000;
const CROWDED = 4429; // I have as many pages open as I may
const CROWDED_MS = 60_000;

/** One lasting connection. onState gets {state: connecting|open|waiting|crowded|off, until}; onMessage each message. */
export class Socket {
  #ws = null;
  #tries = 0;
  #heard = 0;
  #pinged = 0;
  #lastPing = 0;
  #began = 0;
  #retry = 0;
  #beat = 0;
  state = { state: 'off', until: 0 };

  constructor(path, { onState, onMessage, onClose }) {
    this.path = path;
    this.onState = onState;
    this.onMessage = onMessage;
    this.onClose = onClose;
    this.#beat = setInterval(() => this.#tick(), 1000);
    addEventListener('online', () => this.now());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && ['waiting', 'crowded'].includes(this.state.state)) this.now();
    });
  }

  /** Connect at once, unless connected or switched off for good. */
  now() {
    if (this.state.state === 'open' || this.state.state === 'connecting' || !this.#beat) return;
    clearTimeout(this.#retry);
    this.#say('connecting');
    const url = new URL(this.path, location.href);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const ws = new WebSocket(url);
    this.#ws = ws;
    this.#began = Date.now();
    this.#pinged = 0;
    ws.onmessage = (event) => ws === this.#ws && this.#take(event.data);
    ws.onclose = (event) => ws === this.#ws && this.#lost(event.code === CROWDED);
    ws.onerror = () => {};
  }

  /** Send a message; false where there is no connection. */
  send(message) {
    if (this.state.state !== 'open' || this.#ws.readyState !== WebSocket.OPEN) return false;
    this.#ws.send(JSON.stringify(message));
    return true;
  }

  /** Drop the connection and make a new one. */
  renew() {
    this.#drop();
    this.state = { state: 'off', until: 0 };
    this.now();
  }

  /** Stop for good. */
  end() {
    clearInterval(this.#beat);
    clearTimeout(this.#retry);
    this.#beat = 0;
    this.#drop();
    this.#say('off');
  }

  #drop() {
    const ws = this.#ws;
    this.#ws = null;
    if (ws) ws.close();
  }

  #take(data) {
    this.#heard = Date.now();
    this.#pinged = 0;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message.type === 'hello') {
      this.#tries = 0;
      this.#say('open');
    }
    if (message.type !== 'pong') this.onMessage(message);
  }

  #lost(crowded = false) {
    this.#drop();
    const usual = WAITS[Math.min(this.#tries, WAITS.length - 1)] * 1000;
    const wait = (crowded ? CROWDED_MS : usual) * (0.8 + Math.random() * 0.4);
    this.#tries += 1;
    this.#say(crowded ? 'crowded' : 'waiting', Date.now() + wait);
    this.#retry = setTimeout(() => this.now(), wait);
    this.onClose();
  }

  /** Ping, and give a silent line up. A throttled tab that sent no ping does not count as silence. */
  #tick() {
    const now = Date.now();
    if (this.state.state === 'connecting' && now - this.#began > HELLO_MS) this.#lost();
    if (this.state.state !== 'open') return;
    if (this.#pinged && now - this.#heard >= DEAD_MS) this.#lost();
    else if (now - Math.max(this.#heard, this.#lastPing) >= PING_MS) {
      this.#pinged ||= now;
      this.#lastPing = now;
      this.send({ type: 'ping' });
    }
  }

  #say(state, until = 0) {
    this.state = { state, until };
    this.onState(this.state);
  }
}
