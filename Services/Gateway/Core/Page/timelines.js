// The page of two timelines. Which they are stands in the address, `?left=CHANNEL&right=CHANNEL`, so that
// a link leads to it. Both are read from their beginning and stay live.

import { Session } from './session.js';
import { Pair, TICKS_MAX, number, words } from './timeline.js';
import { draw, systemsOf } from './chart.js';

const $ = (id) => document.getElementById(id);
const STORY_MAX = 300;
const FORK_PLACES_MAX = 200;
const TICKS_PER_RUN = 100;
const SPEAK_EVERY_MS = 1000;
const NAMES = ['left', 'right'];
const WHICH = { shared: '', equal: 'same', different: 'different', alone: 'only here so far' };

let pair = new Pair();
let isScheduled = false;

// A side: its session, its part of the page, and what a person does there.

class Side {
  #index; #session; #part; #spoken = '';

  constructor(index) {
    this.#index = index;
    const part = $('side').content.firstElementChild.cloneNode(true);
    part.id = NAMES[index];
    this.#part = (selector) => (selector ? part.querySelector(selector) : part);
    this.#part('.place').textContent = index === 0 ? 'Left' : 'Right';
    $('sides').append(part);
    this.#session = new Session({
      phase: (state) => this.#showPhase(state),
      publication: (envelope) => this.#publication(envelope),
      notice: (notice) => this.#notice(notice),
      control() {}, missed() {}, roundTrip() {}, quality() {}, resumed() {}, identity() {}, expiring() {},
    });
    this.#part('.again').addEventListener('click', () => this.#session.retryNow());
    this.#part('.run').addEventListener('click', () => this.#run());
    this.#part('.world').addEventListener('submit', (event) => this.#makeWorld(event));
    this.#part('.order').addEventListener('submit', (event) => this.#order(event));
  }

  get channel() { return this.#session.channel; }
  get phase() { return this.#session.phase; }
  get #timeline() { return pair.sides[this.#index]; }

  show(channel) {
    this.#part().hidden = channel === '';
    this.#part('.channel').textContent = channel;
    this.#part('.note').hidden = true;
    this.#part('.done').textContent = '';
    if (channel) this.#session.tune(channel, { fromStart: true });
    else this.#session.close();
  }

  #publication(envelope) {
    // The world as it is now, for those who don't read its history.
    if (envelope.offset === undefined) return;
    if (this.#timeline.isFull) return this.#say(`Only the first ${number(TICKS_MAX)} ticks are shown.`);
    pair.add(this.#index, envelope);
    schedule();
  }

  #notice({ kind, message, text }) {
    if (kind === 'unrecoverable' && message.reason === 'epoch_changed') return begin();
    this.#say(kind === 'error' ? `Refused: ${text}.`
      : 'Some publications did not arrive here: load the page again to compare all of them.');
  }

  #say(text) {
    this.#part('.note').textContent = text;
    this.#part('.note').hidden = false;
  }

  // The connection, in words. A live region: the same is not said twice.

  #showPhase({ phase, reason, retryAt }) {
    this.#part().dataset.phase = phase;
    const isFinal = phase === 'lost' && !retryAt;
    const why = reason ? `: ${reason}` : '';
    const text = isFinal ? `Not shown${why}.` : {
      idle: 'Not connected.', connecting: 'Connecting …', live: 'Live.',
      recovering: `Connection lost${why}. Coming back by itself.`,
      lost: `Connection lost${why}. Still trying.`,
    }[phase];
    if (text !== this.#spoken) this.#part('.state').textContent = this.#spoken = text;
    this.#part('.again').hidden = phase !== 'lost' && phase !== 'recovering';
    for (const button of this.#part('.doing').querySelectorAll('button')) button.disabled = phase !== 'live';
    schedule();
  }

  // What a person does to the world.

  async #publish(data, done) {
    const outcome = this.#part('.done');
    const { error } = await this.#session.publish(data);
    outcome.className = `done outcome ${error ? 'bad' : 'good'}`;
    outcome.textContent = error ? `Not done: ${error}.` : done;
  }

  #run() {
    const { tick } = this.#timeline;
    const to = tick + TICKS_PER_RUN;
    this.#publish({ event: 'simulation.tick.batch', from: tick, to }, `Run to tick ${number(to)}.`);
  }

  #makeWorld(event) {
    event.preventDefault();
    const seed = Number(event.target.seed.value);
    if (this.#timeline.exists) this.#publish({ event: 'simulation.reseed', seed }, 'Reseeded.');
    else this.#publish({ event: 'simulation.create', seed }, 'Created.');
  }

  #order(event) {
    event.preventDefault();
    const { faction, order, target } = event.target;
    const said = { event: 'simulation.order', faction: faction.value, order: order.value };
    if (target.value.trim()) said.target = target.value.trim();
    this.#publish(said, 'Order given.');
  }

  // What there is to see.

  draw(systems, ticks) {
    if (!this.channel) return;
    const timeline = this.#timeline;
    draw(this.#part('.chart'), pair, this.#index, { systems, ticks });
    const sum = timeline.exists
      ? `Tick ${number(timeline.tick)}: ${count(timeline.colonies, 'colony', 'colonies')}, `
        + `${count(timeline.routes, 'route', 'routes')}, ${count(timeline.factions.length, 'faction', 'factions')}, `
        + `${number(timeline.people)} people where events last told of them.`
      : this.phase === 'live' ? 'There is no world here yet.' : '';
    this.#part('.sum').textContent = sum;
    this.#part('.chart').setAttribute('aria-label', `Timeline ${this.channel}. ${sum} The list below tells all of it.`);
    this.#part('.create').hidden = timeline.exists;
    for (const name of ['.reseed', '.run', '.order']) this.#part(name).hidden = !timeline.exists;
    offer(this.#part('.order').elements.faction, timeline.factions.map((name) => [name, name]));
    this.#tell(timeline);
  }

  #tell(timeline) {
    const rows = [];
    let command = timeline.commands.length - 1;
    const commandsFrom = (tick) => {
      for (; command >= 0 && timeline.commands[command].tick >= tick; command -= 1) {
        const said = timeline.commands[command];
        rows.push(row(said.tick, said.text, pair.kindOfCommand(said), true));
      }
    };
    let tick = timeline.tick;
    for (; tick > 0 && rows.length < STORY_MAX; tick -= 1) {
      commandsFrom(tick);
      const kind = pair.kind(tick);
      for (const event of (timeline.ticks[tick] ?? []).toReversed()) rows.push(row(tick, words(event), kind, false));
    }
    if (tick === 0) commandsFrom(0);
    this.#part('.cut').hidden = tick === 0;
    this.#part('.cut').textContent = `What happened up to tick ${number(tick)} is not listed.`;
    this.#part('.story').replaceChildren(...rows);
  }
}

function row(tick, text, kind, isCommand) {
  const node = document.createElement('li');
  node.className = `${kind} ${isCommand ? 'command' : ''}`;
  // Of a command there is no other side to wait for: it is here alone.
  const which = isCommand && kind === 'different' ? 'only here' : WHICH[kind];
  for (const [name, said] of [['when', `tick ${tick}`], ['what', text], ['which', which]]) {
    const cell = document.createElement('span');
    cell.className = name;
    cell.textContent = said;
    node.append(cell);
  }
  return node;
}

function count(value, one, many) { return `${number(value)} ${value === 1 ? one : many}`; }

/** Fills a list of choices where they have changed, and keeps what was chosen. */
function offer(select, choices) {
  const same = choices.length === select.options.length
    && choices.every(([value], place) => select.options[place].value === String(value));
  if (same) return;
  const chosen = select.value;
  select.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
  if (choices.some(([value]) => String(value) === chosen)) select.value = chosen;
}

// Both together.

const sides = [new Side(0), new Side(1)];

function begin() {
  const parameters = new URLSearchParams(location.search);
  pair = new Pair();
  NAMES.forEach((name, index) => {
    const channel = parameters.get(name)?.trim() ?? '';
    $('choose').elements[name].value = channel;
    sides[index].show(channel);
  });
  const [left, right] = sides.map((side) => side.channel);
  document.title = left ? `${left}${right ? ` and ${right}` : ''} · Sapphire` : 'Timelines · Sapphire';
  schedule();
}

function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => { isScheduled = false; show(); });
}

function show() {
  const systems = systemsOf(pair);
  const ticks = Math.max(...pair.sides.map((side) => side.tick));
  for (const side of sides) side.draw(systems, ticks);
  NAMES.forEach((name, index) => { $(`ticks-${name}`).textContent = number(pair.sides[index].tick); });
  const { shared, firstDifference } = pair;
  $('fork-point').textContent = pair.isForked ? `tick ${number(shared.tick)}, offset ${number(shared.offset)}`
    : pair.isParted ? 'none' : '–';
  $('first-difference').textContent = firstDifference === null ? 'none so far' : `tick ${number(firstDifference)}`;
  say();
  offerForks();
}

// The verdict is a live region: it speaks when it has something new to say, and once a second at most.

let spokenAt = -Infinity;
let speaking = 0;

function say() {
  clearTimeout(speaking);
  const text = verdict();
  if ($('verdict').textContent === text) return;
  const wait = spokenAt + SPEAK_EVERY_MS - performance.now();
  if (wait > 0) {
    speaking = setTimeout(say, wait);
    return;
  }
  spokenAt = performance.now();
  $('verdict').textContent = text;
}

function verdict() {
  const [left, right] = sides.map((side) => side.channel);
  if (!left && !right) return 'Choose two timelines of a simulation.';
  if (!left || !right) return 'Choose another timeline to compare this one with.';
  const missing = sides.find((side) => side.phase === 'lost');
  if (missing && pair.sides.some((side) => !side.exists)) return `${missing.channel} is not there to compare.`;
  if (!pair.sides.every((side) => side.exists)) return 'Nothing to compare yet.';
  const { shared, firstDifference, isForked, isParted } = pair;
  if (isParted && !isForked) {
    return `They have nothing in common${firstDifference === null ? '' : ` and differ from tick ${number(firstDifference)} on`}.`;
  }
  if (!isForked) return `They are the same so far, up to tick ${number(shared.tick)}.`;
  const first = firstDifference === null ? 'What happened is the same since, as far as both have come'
    : `The first tick with different events is ${number(firstDifference)}`;
  return `They are one up to tick ${number(shared.tick)}, where they fork. ${first}.`;
}

$('choose').addEventListener('submit', (event) => {
  event.preventDefault();
  const { left, right } = event.target.elements;
  go(left.value.trim(), right.value.trim());
});

function go(left, right) {
  const parameters = new URLSearchParams({ left, ...(right && { right }) });
  // Channel names are easier to read with these as they are, and they mean nothing in a query.
  const query = String(parameters).replaceAll('%3A', ':').replaceAll('%40', '@');
  history.pushState(null, '', `?${query}`);
  begin();
}

addEventListener('popstate', begin);
new ResizeObserver(schedule).observe($('sides'));

// Forking. It takes the HTTP API, and so a key.
// INVARIANT: the key is held here alone: no storage, no address, no element has it once it was sent.

let key = '';

function offerForks() {
  const { channel } = sides[0];
  $('forking').hidden = !pair.sides[0].exists;
  $('fork-of').textContent = `${channel.split('@')[0]}@`;
  const places = pair.sides[0].places.slice(-FORK_PLACES_MAX).toReversed();
  const select = $('fork').elements.at;
  // Who chose nothing means the latest.
  const isLatest = select.selectedIndex <= 0;
  offer(select, places.map(({ tick, offset }) => [offset, number(tick)]));
  if (isLatest) select.selectedIndex = 0;
}

$('fork').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { label, at, key: field } = event.target.elements;
  key = field.value.trim() || key;
  field.value = '';
  const channel = sides[0].channel;
  const fork = $('fork-of').textContent + label.value.trim();
  if (!key) return forked('bad', 'Not forked: this takes an API key.');
  forked('', 'Asking …');
  const error = await askForFork({ channel, fork, at: Number(at.value) });
  if (error) return forked('bad', `Not forked: ${error}.`);
  field.placeholder = 'known';
  forked('good', `${fork} is there.`);
  go(channel, fork);
});

/** What went wrong, in words; null where nothing did. */
async function askForFork(parameters) {
  try {
    const answer = await fetch(new URL('api/stream_fork', document.baseURI), {
      method: 'POST', credentials: 'omit', headers: { 'Content-Type': 'application/json', 'X-API-Key': key },
      body: JSON.stringify(parameters),
    });
    if (answer.status === 401) {
      key = '';
      return 'the key is not known here';
    }
    const { error } = await answer.json();
    return error ? `${error.message} (${error.code})` : null;
  } catch { return 'the gateway did not answer'; }
}

function forked(tone, text) {
  $('fork-outcome').className = `outcome ${tone}`;
  $('fork-outcome').textContent = text;
}

begin();
