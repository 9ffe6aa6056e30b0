// A form that sends its request exactly once, whatever clicks, networks and reloads do.
//
// One key per request, kept until there is an answer: a lost answer is asked for again under the same key, by the
// same page after a reload too. A refusal is shown at the field that it points at.

import { newKey, post } from './api.mjs';
import { setText } from './dom.mjs';

const AGAIN = 'Trying again under the same key, so nothing is done twice.';

export class SendingForm {
  #form;
  #options;
  #isBusy = false;

  /** `read(form)`: the body, or null; `onDone(data, body)`: what to say of it. */
  constructor(form, { path, read, onDone, onRefused = () => {} }) {
    this.#form = form;
    this.#options = { path, read, onDone, onRefused };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (!this.#isBusy) this.#submit();
    });
    form.addEventListener('input', ({ target }) => this.#clear(target));
    // The second half of a double click, and a key that is held down, are no further wish.
    form.addEventListener(
      'click',
      (event) => event.detail > 1 && event.target.closest('button') && event.preventDefault(),
    );
    form.addEventListener('keydown', (event) => event.key === 'Enter' && event.repeat && event.preventDefault());
  }

  /** From now on for this user: whatever was under way before a reload goes on. */
  start(user, signal) {
    this.user = user;
    this.signal = signal;
    this.#reset();
    const pending = this.#kept();
    if (!user || !pending) return;
    for (const field of this.#fields()) field.value = pending.typed[field.name];
    this.#send(pending);
  }

  #submit() {
    this.#fields().forEach((field) => this.#clear(field));
    const typed = Object.fromEntries(this.#fields().map(({ name, value }) => [name, value]));
    const request = { user: this.user, key: newKey(), body: this.#options.read(this.#form), typed };
    this.#keep(request);
    this.#send(request);
  }

  async #send(request) {
    const { signal } = this;
    this.#setBusy(true, 'Sending…');
    try {
      const onWait = ({ name, message }) => {
        this.#say(`${name === 'NoAnswer' ? 'No answer yet.' : message} ${AGAIN}`, 'waits');
      };
      const { data } = await post(this.#options.path, { ...request, signal, onWait });
      this.#keep(null);
      // What was typed meanwhile belongs to the next request.
      for (const field of this.#fields()) if (field.value === request.typed[field.name]) field.value = '';
      this.#setBusy(false, this.#options.onDone(data, request.body), 'good');
    } catch (error) {
      // A session that ended keeps its request for the next one of the same user.
      if (signal.aborted) return;
      this.#keep(null);
      this.#setBusy(false, '');
      this.#refuse(error);
    }
  }

  #refuse(error) {
    const fields = this.#fields().filter(({ name }) => error.fields?.has(name));
    for (const field of fields) {
      field.setAttribute('aria-invalid', 'true');
      this.#note(field, error.fields.get(field.name));
    }
    fields[0]?.focus();
    fields[0]?.select();
    if (fields.length === 0) this.#say(error.message, 'bad');
    this.#options.onRefused(error);
  }

  #reset() {
    this.#form.reset();
    this.#fields().forEach((field) => this.#clear(field));
    this.#setBusy(false, '');
  }

  #clear(field) {
    if (!field.getAttribute('aria-describedby')) return;
    field.removeAttribute('aria-invalid');
    this.#note(field, null);
    if (!this.#isBusy) this.#say('');
  }

  #fields() {
    return [...this.#form.querySelectorAll('input')];
  }

  #note(field, error) {
    const note = document.getElementById(field.getAttribute('aria-describedby'));
    note.classList.toggle('is-error', error !== null);
    setText(note, error ?? note.dataset.help);
  }

  /** Not `disabled`: a disabled button loses the focus. */
  #setBusy(isBusy, text, kind) {
    this.#isBusy = isBusy;
    this.#form.setAttribute('aria-busy', String(isBusy));
    this.#form.querySelector('button').setAttribute('aria-disabled', String(isBusy));
    this.#say(text, kind);
  }

  #say(text, kind = '') {
    const state = this.#form.querySelector('.form-state');
    state.dataset.kind = kind;
    setText(state, text);
  }

  get #place() {
    return `kassa.pending.${this.#form.id}.${this.user}`;
  }

  #keep(request) {
    try {
      if (request) sessionStorage.setItem(this.#place, JSON.stringify(request));
      else sessionStorage.removeItem(this.#place);
    } catch {
      // Without storage a reload forgets what was under way; nothing else is lost.
    }
  }

  #kept() {
    try {
      return JSON.parse(sessionStorage.getItem(this.#place));
    } catch {
      return null;
    }
  }
}
