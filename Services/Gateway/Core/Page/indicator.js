// The connection indicator: bars and a percentage from round-trip time and recent reconnects.

const SAMPLES_MAX = 60;
const RECONNECT_MEMORY_MS = 300_000;

const $ = (id) => document.getElementById(id);

export class Indicator {
  #samples = [];
  #reconnects = [];
  #total = 0;
  #phase = 'idle';

  constructor() {
    $('encryption').textContent = location.protocol === 'https:' ? 'Encrypted' : 'Not encrypted';
  }

  clear() { this.#samples = []; this.#reconnects = []; this.#total = 0; this.#show(); }
  phase(phase) { this.#phase = phase; this.#show(); }
  reconnected() { this.#total += 1; this.#reconnects.push(Date.now()); this.#show(); }

  roundTrip(ms) {
    this.#samples.push(ms);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
    this.#show();
  }

  #show() {
    const live = this.#phase === 'live';
    const last = this.#samples.at(-1);
    while (this.#reconnects[0] < Date.now() - RECONNECT_MEMORY_MS) this.#reconnects.shift();
    const known = live && last !== undefined;
    const percent = known ? quality(median(this.#samples.slice(-5)), this.#reconnects.length) : 0;
    const level = !live ? 0 : !known ? 1 : percent >= 80 ? 4 : percent >= 55 ? 3 : percent >= 30 ? 2 : 1;
    $('bars').dataset.level = String(level);
    $('latency').textContent = known ? milliseconds(last) : '';
    $('quality').textContent = known ? `${percent} %` : '';
    $('fact-latency').textContent = last === undefined ? '–' : milliseconds(last);
    $('fact-reconnects').textContent = String(this.#total);
    $('spark').setAttribute('points', points(this.#samples));
  }
}

/** 0 to 100: full up to 20 ms, half lost at a second, and fifteen for each reconnect in five minutes. */
export function quality(ms, reconnects) {
  const slowness = ms <= 20 ? 0 : 50 * Math.log(ms / 20) / Math.log(50);
  return Math.max(1, Math.min(100, Math.round(100 - slowness - 15 * reconnects)));
}

function median(values) { return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]; }

function milliseconds(ms) { return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`; }

function points(samples) {
  if (samples.length < 2) return '';
  const top = Math.max(2, ...samples);
  const step = 120 / (samples.length - 1);
  return samples.map((ms, i) => `${(i * step).toFixed(1)},${(34 - 30 * ms / top).toFixed(1)}`).join(' ');
}
