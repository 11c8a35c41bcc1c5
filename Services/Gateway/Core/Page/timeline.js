// What the publications of a simulation make: the story of one channel, and how two of them compare.
// No page and no socket in here.

/** Of one channel. A run goes on to a million; what is beyond is not shown, and the page says so. */
export const TICKS_MAX = 20_000;
const NOTHING = [];

/** The story of one channel, folded from its publications in their order. */
export class Timeline {
  /** By tick: what happened, empty where nothing did; undefined where the tick has not come. */
  ticks = [];
  /** Where the world stands whole, and so can be forked: `{tick, offset}` behind each command's last tick. */
  places = [];
  /** What was done to the world: `{offset, tick, text}`. */
  commands = [];
  /** By system, in the order they were settled: `[{from, to}]`, `to` null while somebody lives there. */
  settled = new Map();
  /** Where a count changed: `{tick, colonies, routes, factions}`. */
  counts = [];
  exists = false;
  tick = 0;
  #runsTo = 0;
  #people = new Map();
  #routes = new Set();
  #factions = new Set();

  get isFull() { return this.tick >= TICKS_MAX; }
  get colonies() { return this.#people.size; }
  get routes() { return this.#routes.size; }
  get factions() { return [...this.#factions]; }

  /** People where they were last told of: events name a colony's when something happens to it. */
  get people() { return [...this.#people.values()].reduce((sum, pop) => sum + pop, 0); }

  add({ offset, data }) {
    if (data === null || typeof data !== 'object') return;
    if (Array.isArray(data.events) && Number.isSafeInteger(data.tick) && data.tick > 0) this.#run(data, offset);
    else if (data.event === 'simulation.create') this.#create(data, offset);
    else if (data.event === 'simulation.tick.batch') this.#runsTo = data.to;
    else if (data.event === 'simulation.reseed') this.#command(offset, `reseeded with ${data.seed}${by(data)}`);
    else if (data.event === 'simulation.order') {
      const target = data.target === undefined ? '' : ` ${data.target}`;
      this.#command(offset, `${data.faction} ordered to ${data.order}${target}${by(data)}`);
    }
  }

  #command(offset, text) {
    this.commands.push({ offset, tick: this.tick, text });
    this.#stand(this.tick, offset);
  }

  /** Of a tick only the last place counts: a fork from there has its commands with it. */
  #stand(tick, offset) {
    if (this.places.at(-1)?.tick === tick) this.places.pop();
    this.places.push({ tick, offset });
  }

  #create(data, offset) {
    this.exists = true;
    this.#command(offset, `created with seed ${data.seed}${by(data)}`);
    // What every world of rules 1 begins with.
    this.#settle('Sol', 0, 12_000);
    this.#factions.add('UNE');
    this.#note(0);
  }

  #run({ tick, events }, offset) {
    if (tick > TICKS_MAX) return;
    this.exists = true;
    this.tick = tick;
    this.ticks[tick] = events.length ? events : NOTHING;
    if (tick === this.#runsTo) this.#stand(tick, offset);
    for (const event of events) this.#happen(event ?? {}, tick);
    if (events.length) this.#note(tick);
  }

  #happen(event, tick) {
    const route = [event.from, event.to].sort().join('\n');
    switch (event.event) {
    case 'colony.founded':
      this.#settle(event.system, tick, event.pop);
      this.#factions.add(event.faction);
      break;
    case 'colony.grew':
    case 'colony.starved': this.#people.set(event.system, event.pop); break;
    case 'colony.abandoned': {
      this.#people.delete(event.system);
      const last = this.settled.get(event.system)?.at(-1);
      if (last) last.to = tick;
      break;
    }
    case 'trade.route.opened': this.#routes.add(route); break;
    case 'trade.route.closed': this.#routes.delete(route); break;
    case 'faction.split': this.#factions.add(event.child); break;
    case 'faction.joined':
    case 'faction.fell': this.#factions.delete(event.faction); break;
    }
  }

  #settle(system, from, pop) {
    this.#people.set(system, pop);
    if (!this.settled.has(system)) this.settled.set(system, []);
    this.settled.get(system).push({ from, to: null });
  }

  #note(tick) {
    const { colonies, routes } = this;
    this.counts.push({ tick, colonies, routes, factions: this.#factions.size });
  }
}

function by({ by: user }) { return user === undefined ? '' : ` by ${user}`; }

/**
 * Two timelines side by side.
 *
 *     offset   1 … 62 │ 63 …        the same publications at the same times, then others: a fork
 *     tick     1 … 60 │ 61 … 66 │ 67    the events are the same for some ticks yet, then they are not
 */
export class Pair {
  sides = [new Timeline(), new Timeline()];
  /** The last offset that both have, and the tick there; 0 where they have nothing in common. */
  shared = { offset: 0, tick: 0 };
  /** Either has a publication that the other has not, behind all that they share. */
  isParted = false;
  /** The first tick of which they tell different events; null where there is none so far. */
  firstDifference = null;
  #waiting = [[], []];
  #compared = 0;

  add(side, envelope) {
    this.sides[side].add(envelope);
    this.#share(side, envelope);
    this.#compare();
  }

  // A publication that both have has the same time: what is published in each by itself has another.
  #share(side, { offset, time, user, data }) {
    if (!Number.isSafeInteger(offset) || this.isParted) return;
    const tick = this.sides[side].tick;
    this.#waiting[side].push({ offset, tick, print: JSON.stringify([offset, time, user ?? '', data]) });
    const [left, right] = this.#waiting;
    let taken = 0;
    while (taken < left.length && taken < right.length && !this.isParted) {
      if (left[taken].print === right[taken].print) {
        this.shared = { offset: left[taken].offset, tick: left[taken].tick };
        taken += 1;
      } else this.isParted = true;
    }
    left.splice(0, taken);
    right.splice(0, taken);
    if (this.isParted) this.#waiting = [[], []];
  }

  /** They begin as one, and either has gone on by itself. */
  get isForked() {
    return this.shared.offset > 0 && (this.isParted || this.#waiting.some((waiting) => waiting.length > 0));
  }

  #compare() {
    const [left, right] = this.sides.map((side) => side.ticks);
    while (left[this.#compared + 1] && right[this.#compared + 1]) {
      this.#compared += 1;
      if (this.firstDifference === null && !this.#isEqual(this.#compared)) this.firstDifference = this.#compared;
    }
  }

  #isEqual(tick) {
    const [left, right] = this.sides.map((side) => side.ticks[tick]);
    return left.length === right.length && JSON.stringify(left) === JSON.stringify(right);
  }

  /**
   * `shared` before the fork · `equal` the same events after it · `different` · `alone` the other has not
   * come this far.
   */
  kind(tick) {
    if (tick <= this.shared.tick) return 'shared';
    const [left, right] = this.sides.map((side) => side.ticks[tick]);
    if (!left || !right) return 'alone';
    return this.#isEqual(tick) ? 'equal' : 'different';
  }

  kindOfCommand({ offset }) { return offset <= this.shared.offset ? 'shared' : 'different'; }
}

/** What an event of a tick says, in words. */
export function words(event) {
  const { system, from, to, faction } = event;
  switch (event.event) {
  case 'colony.founded': return `${system} settled by ${faction}, ${number(event.pop)} people`;
  case 'colony.grew': return `${system} has ${number(event.pop)} people`;
  case 'colony.starved': return `Famine on ${system}, ${number(event.dead)} dead`;
  case 'colony.abandoned': return `${system} abandoned`;
  case 'trade.route.opened': return `Route from ${from} to ${to} opened`;
  case 'trade.route.closed': return `Route from ${from} to ${to} closed`;
  case 'faction.split': return `${event.child} left ${event.parent}, ${system} first`;
  case 'faction.joined': return `${faction} joined ${event.into}`;
  case 'faction.fell': return `${faction} fell`;
  default: return JSON.stringify(event);
  }
}

const integer = new Intl.NumberFormat();
export function number(value) { return Number.isFinite(value) ? integer.format(value) : '–'; }
