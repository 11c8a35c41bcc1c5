// The list of publications. Bounded in rows and in characters, drawn once per frame, and built from
// text nodes alone: nothing that a publisher sends is ever read as markup.

const ROWS_MAX = 500;
const CHARACTERS_MAX = 4_000_000;
const PREVIEW_CHARACTERS = 700;
const KEPT_CHARACTERS = 262_144;
const HIGHLIGHT_CHARACTERS = 8000;

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23',
});
const day = new Intl.DateTimeFormat(undefined, {
  weekday: 'long', year: 'numeric', month: 'long', day: 'numeric',
});
const integer = new Intl.NumberFormat();

export class Feed {
  #scroller; #list; #trimmed; #latest; #onDrawn;
  #waiting = [];
  #sizes = [];
  #characters = 0;
  #scheduled = false;
  #lastDay = '';
  #unseen = 0;
  #dropped = 0;
  received = 0;

  /** `onDrawn(count, lastText)` is called after new publications have been put on the page. */
  constructor({ scroller, list, trimmed, latest, onDrawn }) {
    this.#scroller = scroller;
    this.#list = list;
    this.#trimmed = trimmed;
    this.#latest = latest;
    this.#onDrawn = onDrawn;
    latest.addEventListener('click', () => { this.#toEnd(); scroller.focus(); });
    scroller.addEventListener('scroll', () => { if (this.#atEnd()) this.#seen(); }, { passive: true });
  }

  get isEmpty() { return this.#list.childElementCount === 0 && this.#waiting.length === 0; }

  clear() {
    this.#waiting = []; this.#sizes = []; this.#characters = this.#dropped = this.received = 0;
    this.#lastDay = '';
    this.#list.replaceChildren();
    this.#trimmed.hidden = true;
    this.#seen();
  }

  publication(envelope) { this.received += 1; this.#push({ envelope }); }

  /** A line between publications: `tone` is `quiet`, `good`, `warning` or `bad`. */
  notice(tone, text) { this.#push({ tone, text }); }

  // A hidden page draws no frames, so that what waits is bounded here as well as on the page.
  #push(entry) {
    this.#waiting.push(entry);
    if (this.#waiting.length > ROWS_MAX) { this.#waiting.shift(); this.#dropped += 1; }
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => { this.#scheduled = false; this.#draw(); });
  }

  #draw() {
    const stick = this.#atEnd();
    const fragment = document.createDocumentFragment();
    let fresh = 0;
    let lastText = '';
    for (const entry of this.#waiting) {
      if (entry.envelope) {
        this.#divideDays(fragment, entry.envelope.time);
        const { element, characters, summary } = publicationRow(entry.envelope);
        this.#add(fragment, element, characters);
        fresh += 1;
        lastText = summary;
      } else {
        this.#add(fragment, element('li', `notice ${entry.tone}`, entry.text), entry.text.length);
      }
    }
    this.#waiting = [];
    this.#list.append(fragment);
    this.#trim();
    if (stick) this.#toEnd(); else this.#countUnseen(fresh);
    this.#onDrawn(fresh, lastText);
  }

  #divideDays(fragment, time) {
    if (!Number.isFinite(time)) return;
    const name = day.format(time);
    if (name === this.#lastDay) return;
    // Today needs no line while nothing older is above it.
    if (this.#lastDay || name !== day.format(Date.now())) {
      this.#add(fragment, element('li', 'notice quiet', name), name.length);
    }
    this.#lastDay = name;
  }

  #add(fragment, row, characters) {
    fragment.append(row);
    this.#sizes.push(characters);
    this.#characters += characters;
  }

  #trim() {
    while (this.#sizes.length > ROWS_MAX || (this.#characters > CHARACTERS_MAX && this.#sizes.length > 1)) {
      this.#characters -= this.#sizes.shift();
      this.#list.firstElementChild.remove();
      this.#dropped += 1;
    }
    this.#trimmed.hidden = this.#dropped === 0;
    this.#trimmed.textContent = `${integer.format(this.#dropped)} earlier lines are no longer shown`;
  }

  #atEnd() {
    const s = this.#scroller;
    return s.scrollHeight - s.scrollTop - s.clientHeight < 48;
  }

  #toEnd() { this.#scroller.scrollTop = this.#scroller.scrollHeight; this.#seen(); }

  #seen() { this.#unseen = 0; this.#latest.hidden = true; }

  #countUnseen(fresh) {
    this.#unseen += fresh;
    this.#latest.hidden = this.#unseen === 0;
    this.#latest.textContent = `${integer.format(this.#unseen)} new ↓`;
  }
}

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function publicationRow(envelope) {
  const row = element('li', 'row');
  const when = element('time', '', Number.isFinite(envelope.time) ? clock.format(envelope.time) : '–');
  if (Number.isFinite(envelope.time)) {
    when.dateTime = new Date(envelope.time).toISOString();
    when.title = new Date(envelope.time).toString();
  }
  const { node, kind, characters, summary } = payload(envelope);
  const meta = element('span', 'meta');
  meta.append(element('span', 'kind', kind));
  if (Number.isSafeInteger(envelope.offset)) meta.append(element('span', 'offset', `@${envelope.offset}`));
  row.append(when, node, meta);
  return { element: row, characters, summary };
}

function payload(envelope) {
  if (typeof envelope.b64data === 'string') return binary(envelope.b64data);
  const data = envelope.data;
  if (typeof data === 'string') return { ...text(data, false), kind: 'text', summary: data.slice(0, 120) };
  if (isArtifact(data)) return artifact(data);
  const flat = JSON.stringify(data) ?? 'null';
  const shown = flat.length <= 80 ? flat : JSON.stringify(data, null, 2);
  return { ...text(shown, true), kind: 'JSON', summary: flat.slice(0, 120) };
}

/** Long payloads show their beginning and a button; very long ones are cut for good, and say so. */
function text(whole, isJSON) {
  const node = element('div', 'payload');
  const kept = whole.slice(0, KEPT_CHARACTERS);
  const pre = element('pre', isJSON ? 'json' : 'plain');
  node.append(pre);
  fill(pre, kept.length > PREVIEW_CHARACTERS ? `${kept.slice(0, PREVIEW_CHARACTERS)}…` : kept, isJSON);
  if (kept.length > PREVIEW_CHARACTERS) {
    const cut = kept.length < whole.length ? `first ${integer.format(kept.length)} of ` : 'all ';
    const more = element('button', 'link', `Show ${cut}${integer.format(whole.length)} characters`);
    more.type = 'button';
    more.addEventListener('click', () => { fill(pre, kept, isJSON); more.remove(); }, { once: true });
    node.append(more);
  }
  return { node, characters: kept.length };
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d[\d.eE+-]*)/g;

function fill(pre, source, isJSON) {
  if (!isJSON || source.length > HIGHLIGHT_CHARACTERS) { pre.textContent = source; return; }
  pre.replaceChildren();
  let at = 0;
  for (const match of source.matchAll(TOKEN)) {
    const [whole, string, colon, word, number] = match;
    pre.append(source.slice(at, match.index));
    const kind = string ? (colon ? 'key' : 'string') : word ? 'word' : number ? 'number' : '';
    pre.append(element('span', kind, string ?? whole), colon ?? '');
    at = match.index + whole.length;
  }
  pre.append(source.slice(at));
}

function binary(base64) {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  const bytes = Math.max(0, Math.floor(base64.length * 3 / 4) - padding);
  let head = '';
  try {
    const first = Array.from(atob(base64.slice(0, 32)), (c) => c.charCodeAt(0));
    head = first.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  } catch { head = 'not valid base64'; }
  const node = element('div', 'payload binary');
  node.append(element('strong', '', size(bytes)), element('code', '', bytes > 24 ? `${head} …` : head));
  return { node, kind: 'binary', characters: 128, summary: `binary, ${size(bytes)}` };
}

function isArtifact(data) {
  return data !== null && typeof data === 'object' && data.type === 'artifact'
    && typeof data.name === 'string' && Number.isSafeInteger(data.bytes)
    && /^[0-9a-f]{64}$/.test(data.sha256);
}

/** A file announced by a vault: its name leads to the content, which the hash addresses. */
function artifact(data) {
  const node = element('div', 'payload artifact');
  const link = element('a', '', data.name);
  link.href = new URL(`vault/${data.sha256}`, document.baseURI).href;
  link.download = data.name.split('/').pop();
  const hash = element('code', '', data.sha256.slice(0, 12));
  hash.title = data.sha256;
  node.append(link, element('span', '', size(data.bytes)), hash);
  return { node, kind: 'artifact', characters: data.name.length + 96, summary: `artifact ${data.name}` };
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}
