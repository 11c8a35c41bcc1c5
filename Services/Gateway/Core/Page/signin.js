// Signing in: a dialog that takes a token or a ticket, a bar that asks for a newer token, and who the
// page is then.
//
// What is typed goes to the session at once and from the field; nothing else keeps it.

const $ = (id) => document.getElementById(id);

export class SignIn {
  #isSignedIn = false;
  #expires = 0;

  constructor(session) {
    $('identity').addEventListener('click', () => this.ask(''));
    $('sign-in-cancel').addEventListener('click', () => $('sign-in').close());
    $('sign-out').addEventListener('click', () => { $('sign-in').close(); session.signOut(); });
    $('sign-in').addEventListener('close', () => { $('credential').value = ''; });
    $('credentials').addEventListener('submit', (event) => {
      event.preventDefault();
      const text = $('credential').value.trim();
      $('sign-in').close();
      if (text) session.signIn(text);
    });
    $('renewal-later').addEventListener('click', () => this.#hideRenewal());
    $('renewal').addEventListener('submit', (event) => {
      event.preventDefault();
      const text = $('renewed').value.trim();
      $('renewed').value = '';
      if (text) session.signIn(text);
    });
  }

  /** Who this page is: `{user, expires}`, null for nobody. */
  show(who) {
    this.#isSignedIn = who !== null;
    $('identity').textContent = who === null ? 'Sign in' : who.user ?? 'Signed in';
    $('identity').title = who?.expires ? `Until ${new Date(who.expires * 1000).toLocaleString()}` : '';
    if (who !== null) this.#hideRenewal();
  }

  ask(reason) {
    $('sign-in-reason').textContent = reason;
    $('sign-in-reason').hidden = reason === '';
    $('sign-out').hidden = !this.#isSignedIn;
    if (!$('sign-in').open) $('sign-in').showModal();
  }

  /**
   * Asks for a newer token beside what the page goes on doing.
   *
   * @param expires when the one there is ends, in seconds; null when it has ended, undefined where
   *   that was said before
   * @param reason why the last one that was offered is no good; empty for none
   * @returns what a screen reader is to say
   */
  renew({ expires, reason }) {
    if (expires !== undefined) this.#expires = expires;
    const time = this.#expires ? new Date(this.#expires * 1000).toLocaleTimeString() : '';
    const what = this.#expires === null
      ? 'What signed this page in has ended. With a new token it goes on where it was.'
      : `Signed in until ${time}. A newer token keeps this page where it is.`;
    $('renewal-text').textContent = reason ? `Not taken: ${reason}. ${what}` : what;
    $('renewal').classList.toggle('lost', this.#expires === null);
    $('renewal').hidden = false;
    return $('renewal-text').textContent;
  }

  #hideRenewal() {
    $('renewal').hidden = true;
    $('renewed').value = '';
  }
}
