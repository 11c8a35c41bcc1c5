// One observed channel: a socket that comes back by itself, resumes where it was, and publishes
// each message once.
//
//   idle ── tune ──▶ connecting ── subscription stands ──▶ live
//                        │ ▲                               │ socket lost, silence, reconnect
//                 failed ▼ │ after 1, 2, 4, 8, 16, 30 s    ▼
//                     recovering ── ladder climbed ──▶ lost (keeps trying every 30 s at most)
//
// The delays are upper bounds: each is drawn evenly from nought to the bound, so that the clients
// of a restarted gateway do not return in one wave.

const LADDER_MS = [1000, 2000, 4000, 8000, 16000, 30000];
const CONNECT_LIMIT_MS = 10000;
const PING_EVERY_MS = 5000;
const SILENCE_LIMIT_MS = 10000;
// A connection that ends sooner than this counts as one more failed try, so that a server which
// accepts and closes at once is approached ever more slowly.
const SETTLED_AFTER_MS = 5000;
const OUTBOX_MAX = 100;
// A gateway remembers the key of a publication for five minutes on a channel without history;
// sending it again later could publish it twice.
const RESEND_LIMIT_MS = 240000;
// Codes that a further attempt would only meet again: the server has judged, not failed.
const FINAL_CODES = new Set([1002, 1003, 1007, 1008, 1009, 1010, 4401, 4403]);
// Errors that pass: internal, unavailable, overloaded, outcome unknown. What was published is sent
// again under the same key, what was refused at the door is tried again.
const PASSING_ERRORS = new Set([100, 152, 153, 159]);
const PUBLISH_TRIES_MAX = 5;
// What another token or ticket may mend.
const SIGN_IN_ERRORS = new Set([
  'authentication_required', 'token_expired', 'token_revoked', 'token_invalid', 'ticket_invalid',
]);

export class Session {
  #handlers;
  #socket = null;
  #channel = '';
  #fromStart = false;
  #phase = 'idle';
  #failures = 0;
  #position = null;
  // Whether this connection asked for what it missed.
  #asked = false;
  #sessionKey = null;
  // INVARIANT: what signs in is held here alone: no storage, no address, no element has it, and a
  // page that is reloaded or closed has forgotten it.
  #credential = null;
  // Somebody has signed in, and no refusal has said otherwise since.
  #isSignedIn = false;
  // A newer token that was sent on this connection and not judged yet: `{id, credential}`.
  #renewal = null;
  // The right of who had signed in has ended.
  #hasEnded = false;
  #connectId = 0;
  #subscribeId = 0;
  #outbox = new Map();
  #pings = new Map();
  #nextId = 1;
  #timers = { retry: 0, connect: 0, heartbeat: 0 };
  #heardAt = 0;
  #downSince = 0;
  #liveSince = 0;
  #reconnectAfterMs = null;
  #refusal = '';

  /**
   * @param handlers functions `phase({phase, failures, retryAt, reason, signIn})`, `publication(envelope)`,
   *   `control(message)`, `notice({kind, text})`, `roundTrip(ms)`, `quality(message)`,
   *   `missed(count)`, `resumed({awayMs, complete})`, `identity({user, expires})` with
   *   null for nobody, `expiring({expires, reason})` where a newer token is wanted: before the end,
   *   when one that came was no good, and with `expires` null when the end has come
   */
  constructor(handlers) {
    this.#handlers = handlers;
    addEventListener('online', () => this.retryNow());
    document.addEventListener('visibilitychange', () => document.hidden || this.#wake());
  }

  get channel() { return this.#channel; }
  get phase() { return this.#phase; }
  get position() { return this.#position; }

  /** Leaves the channel observed so far, if any, and observes `channel`. */
  tune(channel, { fromStart }) {
    this.close();
    this.#channel = channel;
    this.#fromStart = fromStart;
    this.#open();
  }

  close() {
    this.#drop();
    this.#position = this.#sessionKey = null;
    this.#failures = this.#downSince = 0;
    this.#hasEnded = false;
    for (const item of this.#outbox.values()) {
      item.settle({ error: 'The channel was left before the answer came.' });
    }
    this.#outbox.clear();
    this.#setPhase('idle');
  }

  /**
   * Signs in with a token or a ticket, now and whenever the connection comes back. A ticket is good
   * for one connection. A newer token of the same user changes nothing but how long the connection,
   * its subscription and what is on its way may stay; else there is another connection, which goes
   * on behind the last position.
   */
  signIn(text) {
    const credential = text.split('.').length === 3 ? { token: text } : { ticket: text };
    if (this.#phase === 'live' && this.#isSignedIn && credential.token) {
      this.#renewal = { id: this.#nextId++, credential };
      this.#say({ type: 'refresh', id: this.#renewal.id, ...credential });
      return;
    }
    this.#credential = credential;
    this.#begin();
  }

  signOut() {
    this.#credential = null;
    this.#begin();
  }

  /** Comes as somebody else, or once more after the end: another connection. */
  #begin() {
    this.#sessionKey = this.#renewal = null;
    this.#failures = 0;
    // An end is told of as a break; whoever comes as somebody else was never away.
    if (!this.#hasEnded) this.#downSince = 0;
    this.#hasEnded = this.#isSignedIn = false;
    this.#handlers.identity(null);
    if (this.#channel) this.#open();
  }

  /** Tries at once instead of waiting for the timer. Does nothing while connected. */
  retryNow() {
    if (!this.#channel || this.#socket || this.#phase === 'idle') return;
    this.#open();
  }

  /**
   * Publishes `data` (a string is text, anything else JSON), now or when the connection is back.
   * Resolves to `{ack, ms}` or `{error}`; never rejects.
   */
  publish(data) {
    if (this.#outbox.size >= OUTBOX_MAX) {
      return Promise.resolve({ error: `${OUTBOX_MAX} publications wait for the connection already.` });
    }
    return new Promise((settle) => {
      const item = { id: this.#nextId++, key: randomKey(), data, firstSentAt: 0, tries: 0, settle };
      this.#outbox.set(item.id, item);
      if (this.#phase === 'live') this.#send(item);
    });
  }

  // Opening and losing the socket.

  #open() {
    this.#drop();
    this.#refusal = '';
    this.#reconnectAfterMs = null;
    if (this.#failures === 0 && !this.#downSince) this.#setPhase('connecting');
    else this.#setPhase(this.#awayPhase(), { retryAt: Date.now() });
    const socket = new WebSocket(this.#address());
    this.#socket = socket;
    const mine = (handler) => (event) => { if (this.#socket === socket) handler(event); };
    socket.onopen = mine(() => this.#introduce());
    socket.onmessage = mine((event) => this.#receive(event.data));
    socket.onclose = mine((event) => this.#lose(event.code, event.reason));
    this.#timers.connect = setTimeout(() => this.#lose(0, 'no answer'), CONNECT_LIMIT_MS);
  }

  #address() {
    const url = new URL('ws', document.baseURI);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    url.hash = '';
    url.searchParams.set('presence', '1');
    url.searchParams.set('quality', '1');
    if (this.#sessionKey) url.searchParams.set('session', this.#sessionKey);
    return url.href;
  }

  /** Says who comes and what for, in messages: an address stands in histories and logs. */
  #introduce() {
    this.#connectId = 0;
    if (this.#credential) {
      this.#connectId = this.#nextId++;
      this.#say({ type: 'connect', id: this.#connectId, ...this.#credential });
      if (this.#credential.ticket) this.#credential = null;
    }
    const start = this.#fromStart ? 'start' : undefined;
    const since = this.#position ? `${this.#position.epoch}:${this.#position.offset}` : start;
    this.#asked = since !== undefined;
    this.#subscribeId = this.#nextId++;
    this.#say({ type: 'subscribe', id: this.#subscribeId, channel: this.#channel, since });
  }

  #say(message) { this.#socket.send(JSON.stringify(message)); }

  /** Forgets the socket without waiting for its closing handshake, which a dead path never ends. */
  #drop() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#pings.clear();
    // What was not judged is tried with the next connection.
    if (this.#renewal) this.#credential = this.#renewal.credential;
    this.#renewal = null;
    const socket = this.#socket;
    this.#socket = null;
    if (socket) socket.close();
  }

  #lose(code, reason) {
    const wasLive = this.#phase === 'live';
    const after = this.#reconnectAfterMs;
    this.#drop();
    const now = performance.now();
    if (wasLive && (after !== null || now - this.#liveSince > SETTLED_AFTER_MS)) this.#failures = 0;
    else this.#failures += 1;
    this.#downSince ||= now;
    const why = this.#refusal || reason || (navigator.onLine ? '' : 'this device is offline');
    if (FINAL_CODES.has(code) || (code >= 3500 && code < 4000)) {
      this.#giveUp(why || `closed with code ${code}`, code === 4401);
      return;
    }
    const bound = LADDER_MS[Math.min(this.#failures, LADDER_MS.length - 1)];
    const delay = after === null ? Math.random() * bound : after + Math.random() * 250;
    this.#timers.retry = setTimeout(() => this.#open(), delay);
    this.#setPhase(this.#awayPhase(), { reason: why, retryAt: Date.now() + delay });
  }

  /** @param signIn whether another token or ticket may help. */
  #giveUp(reason, signIn = false) {
    this.#drop();
    this.#setPhase('lost', { reason, signIn });
  }

  #awayPhase() { return this.#failures >= LADDER_MS.length ? 'lost' : 'recovering'; }

  #becomeLive() {
    clearTimeout(this.#timers.connect);
    this.#liveSince = performance.now();
    const awayMs = this.#downSince ? this.#liveSince - this.#downSince : 0;
    this.#downSince = 0;
    this.#setPhase('live');
    if (awayMs) this.#handlers.resumed({ awayMs, complete: this.#asked });
    for (const item of [...this.#outbox.values()]) this.#send(item);
    this.#heartbeat();
  }

  #setPhase(phase, { reason = '', retryAt = 0, signIn = false } = {}) {
    this.#phase = phase;
    this.#handlers.phase({ phase, failures: this.#failures, reason, retryAt, signIn });
  }

  // What arrives. An envelope has no `type`; everything else has one.

  #receive(text) {
    this.#heardAt = performance.now();
    let message;
    try { message = JSON.parse(text); } catch { return; }
    if (message === null || typeof message !== 'object') return;
    if (typeof message.type !== 'string') {
      if (this.#phase !== 'live') this.#becomeLive();
      this.#envelope(message);
      return;
    }
    switch (message.type) {
    case 'connection':
      if (typeof message.session === 'string') this.#sessionKey = message.session;
      this.#handlers.control(message);
      break;
    case 'expiring':
      if (message.channel === undefined) this.#handlers.expiring({ expires: message.expires, reason: '' });
      break;
    case 'connected':
      if (this.#renewal && this.#renewal.id === message.id) {
        this.#credential = this.#renewal.credential;
        this.#renewal = null;
      }
      this.#isSignedIn = true;
      this.#handlers.identity({ user: message.user ?? null, expires: message.expires ?? null });
      break;
    case 'ack':
      if (message.id === this.#subscribeId) {
        this.#beginAt(message);
        if (this.#phase !== 'live') this.#becomeLive();
        break;
      }
      this.#settle(message.id, (item) => ({ ack: message, ms: this.#heardAt - item.firstSentAt }));
      break;
    case 'pong': this.#pong(message.id); break;
    case 'quality': this.#handlers.quality(message); break;
    case 'error': this.#fail(message); break;
    case 'unrecoverable':
      this.#position = null;
      this.#fromStart = false;
      this.#handlers.notice({ kind: 'unrecoverable', message });
      break;
    case 'gap':
      this.#handlers.missed(Number(message.dropped) || 0);
      this.#handlers.notice({ kind: 'gap', message });
      break;
    case 'reconnect':
      this.#reconnectAfterMs = Math.max(0, Number(message.after_ms) || 0);
      this.#lose(1012, 'the gateway asked for a reconnect');
      break;
    default: this.#handlers.control(message);
    }
  }

  /** Where the channel stood when this page came to it: what follows that can be asked for later. */
  #beginAt({ epoch, offset }) {
    if (this.#position || this.#fromStart) return;
    if (typeof epoch === 'string' && Number.isSafeInteger(offset)) this.#position = { epoch, offset };
  }

  #envelope(envelope) {
    const { epoch, offset } = envelope;
    if (typeof epoch === 'string' && Number.isSafeInteger(offset)) {
      const last = this.#position;
      if (last && last.epoch === epoch) {
        if (offset <= last.offset) return;
        const from = last.offset + 1;
        if (offset > from) this.#handlers.notice({ kind: 'hole', from, to: offset - 1 });
      }
      this.#position = { epoch, offset };
    }
    this.#handlers.publication(envelope);
  }

  #fail(message) {
    if (this.#pings.delete(message.id)) return;
    const text = `${message.message || 'refused'}${message.code === undefined ? '' : ` (${message.code})`}`;
    const passes = PASSING_ERRORS.has(message.code);
    const item = this.#outbox.get(message.id);
    if (item && passes && item.tries < PUBLISH_TRIES_MAX) {
      // If the connection goes meanwhile, the next one sends it.
      setTimeout(() => {
        if (this.#phase === 'live' && this.#outbox.has(item.id)) this.#send(item);
      }, 1000 * item.tries);
      return;
    }
    if (this.#settle(message.id, () => ({ error: text }))) return;
    if (this.#renewal && this.#renewal.id === message.id) return this.#renewalRefused(message.name, text);
    if (SIGN_IN_ERRORS.has(message.name)) return this.#signInRefused(message.name, text);
    this.#refusal = text;
    // Without an id it answers nothing that was sent: the channel itself is refused or ended.
    const isTheChannel = message.id === undefined && message.channel === this.#channel;
    if (this.#phase === 'live' && isTheChannel && !passes) this.#giveUp(text);
    // Nothing more would come on this socket: the next one goes on from the last position.
    else if (this.#phase === 'live' && isTheChannel) this.#lose(0, text);
    else if (this.#phase === 'live') this.#handlers.notice({ kind: 'error', text });
    else if (passes) this.#lose(0, text);
    else this.#giveUp(text, message.name === 'permission_denied');
  }

  /** The connection stays as it was, unless the token is another user's: then it is another one. */
  #renewalRefused(name, text) {
    const { credential } = this.#renewal;
    this.#renewal = null;
    if (name === 'other_user') {
      this.#credential = credential;
      this.#begin();
    } else this.#handlers.expiring({ expires: undefined, reason: text });
  }

  /** What signed in is no good, or not any more: the page keeps its place and waits for another. */
  #signInRefused(name, text) {
    this.#credential = null;
    this.#hasEnded = this.#hasEnded || (this.#isSignedIn && name === 'token_expired');
    this.#isSignedIn = false;
    this.#handlers.identity(null);
    if (this.#hasEnded) this.#downSince ||= performance.now();
    this.#giveUp(text, !this.#hasEnded);
    if (this.#hasEnded) this.#handlers.expiring({ expires: null, reason: name === 'token_expired' ? '' : text });
  }

  // Publishing. What was sent and not answered when the socket went is sent again with the same
  // key, so that the server can tell a repetition from a second message.

  #send(item) {
    const now = performance.now();
    if (item.firstSentAt && now - item.firstSentAt > RESEND_LIMIT_MS) {
      const error = 'The connection was away too long to know whether this was published.';
      this.#settle(item.id, () => ({ error }));
      return;
    }
    item.firstSentAt ||= now;
    item.tries += 1;
    this.#say({
      id: item.id, channel: this.#channel, data: item.data, idempotency_key: item.key,
    });
  }

  #settle(id, result) {
    const item = this.#outbox.get(id);
    if (!item) return false;
    this.#outbox.delete(id);
    item.settle(result(item));
    return true;
  }

  // Heartbeat: measures the round trip and notices a path that has died without a word.

  #heartbeat() {
    clearTimeout(this.#timers.heartbeat);
    const now = performance.now();
    const oldest = Math.min(Infinity, ...this.#pings.values());
    if (now - oldest > SILENCE_LIMIT_MS && now - this.#heardAt > SILENCE_LIMIT_MS) {
      this.#lose(0, 'no answer from the gateway');
      return;
    }
    if (this.#pings.size < 4) {
      const id = this.#nextId++;
      this.#pings.set(id, now);
      this.#say({ type: 'ping', id });
    }
    this.#timers.heartbeat = setTimeout(() => this.#heartbeat(), PING_EVERY_MS);
  }

  #pong(id) {
    const sentAt = this.#pings.get(id);
    if (sentAt === undefined) return;
    this.#pings.delete(id);
    this.#handlers.roundTrip(this.#heardAt - sentAt);
  }

  /** A page that was hidden or a device that slept checks at once, not at its next tick. */
  #wake() {
    if (this.#phase === 'live') this.#heartbeat();
    else this.retryNow();
  }
}

// crypto.randomUUID is missing on plain http from another machine; getRandomValues is not.
function randomKey() {
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
