// Who is present: a snapshot, then joins, updates and leaves in order.

const SHOWN_MAX = 200;
// Memory is bounded even on a channel with very many members; those above this are only counted.
const KEPT_MAX = 20_000;

export class Presence {
  #list; #count; #note;
  #members = new Map();
  // Members beyond the snapshot's bound: counted, not known by name.
  #unlisted = 0;
  #ownClient = null;
  #scheduled = false;

  constructor({ list, count, note }) { this.#list = list; this.#count = count; this.#note = note; }

  clear() { this.#members.clear(); this.#unlisted = 0; this.#ownClient = null; this.#draw(); }

  /** The connection is away: what is shown may no longer hold, and the next snapshot replaces it. */
  stale() { this.#list.classList.add('stale'); }

  apply(message) {
    switch (message.type) {
    case 'connection':
      if (typeof message.client === 'string') this.#ownClient = message.client;
      break;
    case 'presence':
      this.#members.clear();
      this.#list.classList.remove('stale');
      for (const member of Array.isArray(message.members) ? message.members : []) this.#join(member);
      this.#unlisted = Math.max(0, (Number(message.total) || 0) - this.#members.size);
      break;
    case 'join':
      this.#join(message);
      break;
    case 'update':
      // Somebody says something else of itself; one who is only counted stays so.
      if (this.#members.has(message.client)) this.#join(message);
      break;
    case 'leave':
      if (!this.#members.delete(message.client)) this.#unlisted = Math.max(0, this.#unlisted - 1);
      break;
    default: return;
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => { this.#scheduled = false; this.#draw(); });
  }

  #join({ client, user, info }) {
    if (typeof client !== 'string') return;
    if (this.#members.size >= KEPT_MAX && !this.#members.has(client)) { this.#unlisted += 1; return; }
    const name = [info?.name, user].find((text) => typeof text === 'string' && text !== '') ?? null;
    this.#members.set(client, { name, client });
  }

  #draw() {
    const total = this.#members.size + this.#unlisted;
    const shown = [...this.#members.values()].slice(0, SHOWN_MAX)
      .sort((a, b) => (b.client === this.#ownClient) - (a.client === this.#ownClient)
        || (b.name !== null) - (a.name !== null)
        || (a.name ?? a.client).localeCompare(b.name ?? b.client));
    this.#list.replaceChildren(...shown.map((member) => this.#person(member)));
    this.#count.textContent = String(total);
    this.#note.hidden = total > 0 && total <= SHOWN_MAX;
    this.#note.textContent = total ? `and ${total - SHOWN_MAX} more` : 'Nobody yet.';
  }

  #person({ name, client }) {
    const item = document.createElement('li');
    const dot = document.createElement('span');
    dot.className = `dot tone${tone(name ?? client)}`;
    dot.textContent = name ? [...name][0].toUpperCase() : '';
    dot.setAttribute('aria-hidden', 'true');
    const label = document.createElement('span');
    label.className = name ? 'name' : 'name anonymous';
    label.textContent = name ?? client.slice(0, 8);
    label.title = client;
    item.append(dot, label);
    if (client === this.#ownClient) {
      const own = document.createElement('span');
      own.className = 'own';
      own.textContent = 'you';
      item.append(own);
    }
    return item;
  }
}

/** One of six colours, the same for the same name. */
function tone(text) {
  let hash = 0;
  for (const character of text) hash = (hash * 31 + character.codePointAt(0)) % 6007;
  return hash % 6;
}
