// Signing in: a dialog that takes a token or a ticket, and who the page is then.
//
// What is typed goes to the session at once and from the field; nothing else keeps it.

const $ = (id) => document.getElementById(id);

export class SignIn {
  #isSignedIn = false;

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
  }

  /** Who this page is: `{user, expires}`, null for nobody. */
  show(who) {
    this.#isSignedIn = who !== null;
    $('identity').textContent = who === null ? 'Sign in' : who.user ?? 'Signed in';
    $('identity').title = who?.expires ? `Until ${new Date(who.expires * 1000).toLocaleString()}` : '';
  }

  ask(reason) {
    $('sign-in-reason').textContent = reason;
    $('sign-in-reason').hidden = reason === '';
    $('sign-out').hidden = !this.#isSignedIn;
    if (!$('sign-in').open) $('sign-in').showModal();
  }
}
