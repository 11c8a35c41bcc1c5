// The observer page: what a person does and sees. The channel is kept in the address,
// `#channel=NAME` (and `&from=start`), so that a link leads to it.

import { Session } from './session.js';
import { Feed } from './feed.js';
import { Presence } from './presence.js';
import { Indicator } from './indicator.js';
import { SignIn } from './signin.js';

const $ = (id) => document.getElementById(id);
const integer = new Intl.NumberFormat();
const ANNOUNCE_EVERY_MS = 3000;

const presence = new Presence({ list: $('present'), count: $('present-count'), note: $('present-note') });
const indicator = new Indicator();
const feed = new Feed({
  scroller: $('feed'), list: $('rows'), trimmed: $('trimmed'), latest: $('latest'),
  onDrawn: (fresh, lastText) => { showEmpty(); showFacts(); announce(fresh, lastText); },
});
let missed = 0;

const session = new Session({
  phase: showPhase,
  publication: (envelope) => feed.publication(envelope),
  control: (message) => presence.apply(message),
  notice: showNotice,
  missed: (count) => { missed += count; },
  roundTrip: (ms) => indicator.roundTrip(ms),
  quality: (message) => indicator.quality(message),
  identity: (who) => signIn.show(who),
  expiring: (end) => say(signIn.renew(end)),
  resumed: ({ awayMs, complete }) => {
    indicator.reconnected();
    const away = `${(awayMs / 1000).toFixed(1)} s`;
    feed.notice(complete ? 'good' : 'warning', complete
      ? `Back after ${away}; continuing from where this page was`
      : `Back after ${away}; what was published meanwhile cannot be shown here`);
  },
});

const signIn = new SignIn(session);

// Tuning in.

function hashParameters() { return new URLSearchParams(location.hash.slice(1)); }

function tuneFromHash() {
  const parameters = hashParameters();
  const channel = parameters.get('channel') ?? '';
  $('channel').value = channel;
  $('from-start').checked = parameters.get('from') === 'start';
  feed.clear(); presence.clear(); indicator.clear(); missed = 0;
  document.title = channel ? `#${channel} · Sapphire` : 'Sapphire';
  $('outcome').textContent = '';
  if (channel) session.tune(channel, { fromStart: $('from-start').checked });
  else session.close();
  showEmpty(); showFacts();
}

$('tune').addEventListener('submit', (event) => {
  event.preventDefault();
  const channel = $('channel').value.trim();
  if (!channel) return;
  const parameters = new URLSearchParams({ channel });
  if ($('from-start').checked) parameters.set('from', 'start');
  const hash = `#${parameters}`;
  if (hash === location.hash) tuneFromHash(); else location.hash = hash;
  $('message').focus({ preventScroll: true });
});
// The skip link changes the hash as well; only a hash that names a channel tunes.
addEventListener('hashchange', () => { if (location.hash !== '#feed') tuneFromHash(); });
$('retry').addEventListener('click', () => session.retryNow());

async function suggestChannels() {
  let names = [];
  try {
    const answer = await fetch(new URL('channels', document.baseURI));
    if (answer.ok) names = Object.keys((await answer.json()).channels ?? {});
  } catch { /* suggestions are a convenience: without them the page works as well */ }
  if (!names.includes('universal-frequency')) names.push('universal-frequency');
  names = names.slice(0, 50);
  $('channels').replaceChildren(...names.map((name) => new Option(name, name)));
  $('suggestions').replaceChildren(...names.slice(0, 8).map((name) => {
    const chip = document.createElement('a');
    chip.textContent = `#${name}`;
    chip.href = `#${new URLSearchParams({ channel: name })}`;
    return chip;
  }));
}
$('channel').addEventListener('focus', suggestChannels);

// Publishing. What reads as a JSON object or array goes as JSON, all else as text.

$('publish').addEventListener('submit', async (event) => {
  event.preventDefault();
  const source = $('message').value;
  if (!source || !session.channel) return;
  $('message').value = '';
  showKind();
  if (session.phase !== 'live') outcome('quiet', 'Waiting for the connection to publish this');
  const result = await session.publish(parsed(source).data);
  if (result.error) {
    if (!$('message').value) { $('message').value = source; showKind(); }
    outcome('bad', `Not published: ${result.error}`);
    return;
  }
  const position = result.ack.offset === undefined ? '' : ` at offset ${result.ack.offset}`;
  outcome('good', `Published${position} in ${milliseconds(result.ms)}`);
});

$('message').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('publish').requestSubmit();
});
$('message').addEventListener('input', showKind);

function parsed(source) {
  if (/^\s*[[{]/.test(source)) {
    try { return { data: JSON.parse(source), isJSON: true }; } catch { /* then it is text */ }
  }
  return { data: source, isJSON: false };
}

function showKind() {
  const box = $('message');
  const lines = Math.min(6, box.value.split('\n').length);
  if (box.rows !== lines) box.rows = lines;
  if (box.value) outcome('quiet', parsed(box.value).isJSON ? 'Goes as JSON' : 'Goes as text');
  else outcome('quiet', '');
}

function outcome(tone, text) { $('outcome').className = `outcome ${tone}`; $('outcome').textContent = text; }

function milliseconds(ms) { return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`; }

// What a person sees of the connection.

const PHASES = {
  idle: 'Not connected', connecting: 'Connecting', live: 'Live', recovering: 'Recovering', lost: 'Lost',
};
let countdown = 0;

function showPhase(state) {
  clearInterval(countdown);
  const shown = document.body.dataset.phase;
  document.body.dataset.phase = state.phase;
  $('phase').textContent = PHASES[state.phase];
  $('retry').hidden = !(state.phase === 'lost' || state.phase === 'recovering');
  const tuned = state.phase !== 'idle';
  $('message').disabled = !tuned;
  $('publish').querySelector('button').disabled = !tuned;
  indicator.phase(state.phase);
  if (state.phase === 'recovering' || state.phase === 'lost') {
    presence.stale();
    showBanner(state);
    countdown = setInterval(() => showBanner(state), 500);
  } else $('banner').hidden = true;
  if (state.signIn) signIn.ask(state.reason);
  showEmpty();
  showFacts();
  if (state.phase === shown || state.phase === 'connecting') return;
  say(`Connection ${PHASES[state.phase].toLowerCase()}`);
}

function showBanner({ phase, reason, retryAt, failures }) {
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  const next = !retryAt ? '' : seconds ? `Next try in ${seconds} s.` : 'Trying now.';
  const what = phase === 'lost' ? 'Connection lost' : 'Connection interrupted';
  $('banner').className = `banner ${phase}`;
  const tries = failures > 1 ? `${failures} tries so far.` : '';
  $('banner').textContent = [`${what}${reason ? `: ${reason}` : ''}.`, next, tries].filter(Boolean).join(' ');
  $('banner').hidden = false;
}

const REASONS = {
  epoch_changed: 'the history was replaced by a new one',
  trimmed: 'the history no longer reaches back that far',
  ahead: 'this page was ahead of the history', too_far: 'too much was published meanwhile',
  no_history: 'this channel keeps no history',
};

function showNotice({ kind, message, text, from, to }) {
  if (kind === 'gap') {
    feed.notice('warning', `${publications(message.dropped)} dropped here: the connection could not keep up`);
  } else if (kind === 'hole') {
    const count = to - from + 1;
    missed += count;
    const which = count === 1 ? `Offset ${from}` : `Offsets ${from} to ${to}`;
    feed.notice('warning', `${which} did not arrive`);
  } else if (kind === 'unrecoverable') {
    const { reason, floor, head } = message;
    const reach = Number.isSafeInteger(head) ? ` (it holds offsets ${floor ?? 1} to ${head})` : '';
    feed.notice('bad', `Not joined to what is above: ${REASONS[reason] ?? reason ?? 'no reason given'}${reach}`);
  } else feed.notice('bad', text);
  showFacts();
}

/** `count` is null where the gateway does not know it. */
function publications(count) {
  if (!Number.isSafeInteger(count)) return 'Some publications were';
  return count === 1 ? '1 publication was' : `${integer.format(count)} publications were`;
}

function showFacts() {
  const position = session.position;
  $('fact-received').textContent = integer.format(feed.received);
  $('fact-missed').textContent = integer.format(missed);
  $('fact-missed').classList.toggle('warning', missed > 0);
  $('fact-position').textContent = position ? `${position.epoch}:${position.offset}` : feed.received ? 'no history' : '–';
}

function showEmpty() {
  const empty = feed.isEmpty;
  $('empty').hidden = !empty;
  if (!empty) return;
  const phase = document.body.dataset.phase;
  const channel = phase === 'idle' ? '' : session.channel;
  const away = phase === 'recovering' || phase === 'lost';
  $('empty-title').textContent = !channel ? 'Tune in to a channel' : away ? 'Not connected' : 'Listening';
  if (!channel) $('empty-text').textContent = 'Every publication appears here the moment it happens.';
  else if (away) $('empty-text').textContent = `Publications in #${channel} do not reach this page now.`;
  else $('empty-text').textContent = `Nothing has been published in #${channel} since you tuned in.`;
  $('suggestions').hidden = Boolean(channel);
  const word = shellWord(channel || 'universal-frequency');
  $('command').textContent = `sapphire publish ${word} "Artifact #42 discovered"`;
}

function shellWord(word) { return /^[\w:.-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`; }

// Screen readers hear a summary at most every few seconds, not every publication.

let unspoken = 0;
let spokenAt = 0;
let speaking = 0;

function announce(fresh, lastText) {
  if (!fresh) return;
  unspoken += fresh;
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    const count = integer.format(unspoken);
    const what = unspoken === 1 ? 'New publication' : `${count} new publications, the latest`;
    say(`${what}: ${lastText}`);
    unspoken = 0;
    spokenAt = Date.now();
  }, Math.max(300, spokenAt + ANNOUNCE_EVERY_MS - Date.now()));
}

function say(text) { $('announcer').textContent = text; }

tuneFromHash();
suggestChannels();
