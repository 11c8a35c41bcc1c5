// One timeline as a drawing. Across: ticks, on one scale for both sides. Down: a band of ticks, how many
// colonies, routes and factions there are, then a line for each system.
//
//     ▁▁▁▁▁▁▁▁█▁▁██      low: as on the other side; high: different; hollow: not there yet
//     ╶──────╴─────      counts
//     Sol      ●──────▲───
//     Wolf 359      ●─────✕

const SPACE = 'http://www.w3.org/2000/svg';
const BAND = { top: 22, height: 14 };
const COUNTS = { top: 46, height: 52 };
const ROWS = { top: 112, height: 18 };
const GUTTER = 112;

/** Names its systems in the order both sides know them, so that a line is at one height in both. */
export function systemsOf(pair) {
  return [...new Set(pair.sides.flatMap((side) => [...side.settled.keys()]))];
}

export function draw(svg, pair, side, { systems, ticks }) {
  const timeline = pair.sides[side];
  const width = Math.max(240, svg.clientWidth || 240);
  const height = ROWS.top + Math.max(1, systems.length) * ROWS.height + 8;
  const across = (tick) => GUTTER + (width - GUTTER - 10) * (tick / Math.max(1, ticks));
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('height', height);
  const parts = [...marks(pair, across, height), ...band(pair, timeline, across),
    ...counts(timeline, across), ...rows(pair, timeline, systems, across)];
  svg.replaceChildren(...parts);
}

function make(name, kind, attributes, text) {
  const node = document.createElementNS(SPACE, name);
  if (kind) node.setAttribute('class', kind);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function marks(pair, across, height) {
  const drawn = [];
  const mark = (kind, tick, text, end) => {
    const x = across(tick);
    drawn.push(make('line', `mark ${kind}`, { x1: x, x2: x, y1: 16, y2: height }));
    drawn.push(make('text', `mark ${kind}`, { x, y: 12, 'text-anchor': end ? 'end' : 'start' }, text));
  };
  if (pair.isForked) mark('fork', pair.shared.tick, `fork ${pair.shared.tick}`, true);
  if (pair.firstDifference !== null) mark('first', pair.firstDifference, `differs ${pair.firstDifference}`, false);
  return drawn;
}

/** Neighbours of a kind are one piece: there are as many pieces as changes, not as ticks. */
function band(pair, timeline, across) {
  const drawn = [];
  let from = 1;
  for (let tick = 1; tick <= timeline.tick; tick += 1) {
    const kind = pair.kind(tick);
    if (tick < timeline.tick && pair.kind(tick + 1) === kind) continue;
    const height = kind === 'different' ? BAND.height : kind === 'alone' ? 7 : 4;
    drawn.push(make('rect', `band ${kind}`, {
      x: across(from - 1), y: BAND.top + BAND.height - height, height,
      width: Math.max(1, across(tick) - across(from - 1)),
    }));
    from = tick + 1;
  }
  return drawn;
}

function counts(timeline, across) {
  const most = Math.max(1, ...timeline.counts.map((c) => Math.max(c.colonies, c.routes, c.factions)));
  const last = timeline.counts.at(-1);
  if (!last) return [];
  return ['colonies', 'routes', 'factions'].flatMap((name, place) => {
    const down = (value) => COUNTS.top + COUNTS.height * (1 - value / most);
    let path = '';
    for (const count of timeline.counts) {
      path += path ? `H${across(count.tick)}V${down(count[name])}` : `M${across(count.tick)} ${down(count[name])}`;
    }
    path += `H${across(timeline.tick)}`;
    const label = { x: 0, y: COUNTS.top + 12 + place * 17 };
    return [make('path', `count ${name}`, { d: path }),
      make('path', `count ${name}`, { d: `M0 ${label.y - 4}h14` }),
      make('text', '', { x: 20, y: label.y }, `${name} ${last[name]}`)];
  });
}

function rows(pair, timeline, systems, across) {
  const drawn = [];
  systems.forEach((system, place) => {
    const y = ROWS.top + (place + 0.5) * ROWS.height;
    drawn.push(make('text', timeline.settled.has(system) ? '' : 'absent', { x: 0, y: y + 4 }, system));
    for (const { from, to } of timeline.settled.get(system) ?? []) {
      drawn.push(make('line', 'life', { x1: across(from), x2: across(to ?? timeline.tick), y1: y, y2: y }));
    }
  });
  timeline.ticks.forEach((events, tick) => {
    for (const event of events) {
      const place = systems.indexOf(event.system);
      if (place < 0) continue;
      const shape = shapeOf(event.event, across(tick), ROWS.top + (place + 0.5) * ROWS.height);
      if (shape) drawn.push(make('path', `happening ${pair.kind(tick)}`, { d: shape }));
    }
  });
  return drawn;
}

/** Each event has a shape of its own: ● founded, ▲ grew, ✕ famine or abandoned, ◆ split. */
function shapeOf(event, x, y) {
  switch (event) {
  case 'colony.founded': return `M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z`;
  case 'colony.grew': return `M${x} ${y - 4}l4 7h-8z`;
  case 'colony.starved':
  case 'colony.abandoned': return `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`;
  case 'faction.split': return `M${x} ${y - 5}l5 5l-5 5l-5 -5z`;
  default: return null;
  }
}
