// What the page knows, in one place; views draw it again whenever it changes.

import { NO_LEDGER, NO_ORDERS } from './rows.mjs';
import { isOpen } from './words.mjs';

const NOTHING = Object.freeze({
  user: null,
  // undefined: not read yet; null: there is none.
  account: undefined,
  orders: NO_ORDERS,
  ledger: NO_LEDGER,
  // Why a part of the page may be old, by part.
  trouble: {},
});

/** `change` after every update, once; `closed` with each order that was seen open and then closed. */
export class Store extends EventTarget {
  state = { ...NOTHING, health: null, isReached: true };
  #isAnnounced = false;

  update(changes) {
    const before = this.state;
    this.state = { ...before, ...changes };
    if (changes.orders) this.#tellClosed(before.orders.rows);
    if (this.#isAnnounced) return;
    this.#isAnnounced = true;
    queueMicrotask(() => {
      this.#isAnnounced = false;
      this.dispatchEvent(new Event('change'));
    });
  }

  /** Forgets everything that belongs to a user. */
  signIn(user) {
    this.update({ ...NOTHING, user });
  }

  openOrders() {
    return this.state.orders.rows.filter(isOpen);
  }

  #tellClosed(before) {
    const wasOpen = new Set(before.filter(isOpen).map(({ id }) => id));
    for (const order of this.state.orders.rows) {
      if (wasOpen.has(order.id) && !isOpen(order)) {
        this.dispatchEvent(new CustomEvent('closed', { detail: order }));
      }
    }
  }
}
