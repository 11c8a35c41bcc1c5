// The connection indicator: bars and a percentage. The gateway says how good the connection is; the
// times of the sparkline are those of this page's own pings.

const SAMPLES_MAX = 60;
const LEVELS = { excellent: 4, good: 3, fair: 2, poor: 1 };

const $ = (id) => document.getElementById(id);

export class Indicator {
  #samples = [];
  #reconnects = 0;
  #quality = null;
  #phase = 'idle';

  constructor() {
    $('encryption').textContent = location.protocol === 'https:' ? 'Encrypted' : 'Not encrypted';
  }

  clear() { this.#samples = []; this.#reconnects = 0; this.#quality = null; this.#show(); }
  phase(phase) { this.#phase = phase; this.#show(); }
  reconnected() { this.#reconnects += 1; this.#quality = null; this.#show(); }
  quality(message) { this.#quality = message; this.#show(); }

  roundTrip(ms) {
    this.#samples.push(ms);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
    this.#show();
  }

  #show() {
    const live = this.#phase === 'live';
    const last = this.#samples.at(-1);
    const quality = live ? this.#quality : null;
    const level = !live ? 0 : quality ? LEVELS[quality.grade] ?? 1 : 1;
    $('bars').dataset.level = String(level);
    $('latency').textContent = live && last !== undefined ? milliseconds(last) : '';
    $('quality').textContent = quality ? `${quality.score} %` : '';
    $('quality').title = quality ? `${quality.grade}: from round-trip time, jitter, loss and reconnects` : '';
    $('fact-latency').textContent = last === undefined ? '–' : milliseconds(last);
    $('fact-jitter').textContent = quality ? milliseconds(quality.jitter_ms) : '–';
    $('fact-loss').textContent = quality ? `${Math.round(quality.loss * 100)} %` : '–';
    $('fact-reconnects').textContent = String(this.#reconnects);
    $('spark').setAttribute('points', points(this.#samples));
  }
}

function milliseconds(ms) { return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`; }

function points(samples) {
  if (samples.length < 2) return '';
  const top = Math.max(2, ...samples);
  const step = 120 / (samples.length - 1);
  return samples.map((ms, i) => `${(i * step).toFixed(1)},${(34 - 30 * ms / top).toFixed(1)}`).join(' ');
}
