// Keeps what the page shows true: reads when something happened, follows open orders, and tells the other tabs.

import { call } from './api.mjs';
import { followOrder } from './follow-order.mjs';
import { withFirstPage, withOlderPage, withRow } from './rows.mjs';
import { isOpen } from './words.mjs';

const ORDERS = '/orders?limit=10';
const LEDGER = '/accounts/transactions?limit=20';
/** Streams tell of orders; the ledger, and what other devices do, is looked for. */
const LOOK_EVERY_MS = { busy: 2_000, idle: 10_000 };
/** How many orders a tab follows at once; the others are seen in the list. */
const FOLLOWED_AT_ONCE = 4;

export class Sync {
  #store;
  #session = null;
  #followed = new Map();
  #reading = null;
  #readAgain = false;
  #tabs = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('kassa');

  constructor(store) {
    this.#store = store;
    store.addEventListener('change', () => this.#follow());
    store.addEventListener('closed', () => this.refresh());
    this.#tabs?.addEventListener('message', ({ data }) => {
      if (data.user === store.state.user && !document.hidden) this.refresh();
    });
    document.addEventListener('visibilitychange', () => (document.hidden ? this.#unfollow() : this.refresh()));
    addEventListener('online', () => this.refresh());
    addEventListener('pageshow', ({ persisted }) => persisted && this.refresh());
    this.#lookNowAndThen();
  }

  /** From now on for this user; null: for nobody. */
  start(user) {
    this.#session?.abort();
    this.#unfollow();
    this.#session = user ? new AbortController() : null;
    this.#reading = null;
    this.#store.signIn(user);
    if (user) this.refresh();
  }

  /** The signal of the session that runs. */
  get signal() {
    return this.#session?.signal;
  }

  /** The user has changed something here: shown at once, and told to the other tabs. */
  changed({ order, account } = {}) {
    if (order) this.#store.update({ orders: withRow(this.#store.state.orders, order) });
    if (account) this.#store.update({ account });
    this.#tabs?.postMessage({ user: this.#store.state.user });
    return this.refresh();
  }

  /** Reads everything; while it does, another call makes it read once more. */
  async refresh({ isRoutine = false } = {}) {
    if (!this.#session) return;
    if (this.#reading) {
      this.#readAgain = true;
      await this.#reading;
      return;
    }
    const signal = this.#session.signal;
    const reading = Promise.all([this.#readOrders(signal), this.#readAccount(signal, isRoutine)]);
    this.#reading = reading;
    await reading;
    if (this.#reading !== reading) return;
    this.#reading = null;
    if (this.#readAgain) {
      this.#readAgain = false;
      await this.refresh();
    }
  }

  /** The next page of a list; how many rows it brought. */
  async showOlder(part) {
    const list = this.#store.state[part];
    let count = 0;
    await this.#read(part, this.#session.signal, async (options) => {
      const { data, next } = await call(list.next, options);
      count = data.length;
      this.#store.update({ [part]: withOlderPage(this.#store.state[part], data, next) });
    });
    return count;
  }

  #readOrders(signal) {
    return this.#read('orders', signal, async (options) => {
      const { data, next } = await call(ORDERS, options);
      this.#store.update({ orders: withFirstPage(this.#store.state.orders, data, next) });
    });
  }

  #readAccount(signal, isRoutine) {
    // Whoever has no account gets none by being asked every few seconds.
    if (isRoutine && this.#store.state.account === null) return undefined;
    return this.#read('account', signal, async (options) => {
      try {
        const { data: account } = await call('/accounts/balance', options);
        this.#store.update({ account });
      } catch (error) {
        if (error.code !== 'account_not_found') throw error;
        this.#store.update({ account: null });
        return;
      }
      await this.#read('ledger', signal, async () => {
        const { data, next } = await call(LEDGER, options);
        this.#store.update({ ledger: withFirstPage(this.#store.state.ledger, data, next) });
      });
    });
  }

  /** Runs a read; what goes wrong is kept beside the part that it belongs to. */
  async #read(part, signal, read) {
    let problem;
    try {
      await read({ user: this.#store.state.user, signal });
    } catch (error) {
      problem = error;
    }
    if (signal.aborted) return;
    this.#store.update({ trouble: { ...this.#store.state.trouble, [part]: problem } });
  }

  #follow() {
    if (!this.#session || document.hidden) return;
    for (const { id } of this.#store.openOrders()) {
      if (this.#followed.size >= FOLLOWED_AT_ONCE) return;
      if (!this.#followed.has(id)) this.#followOne(id);
    }
  }

  async #followOne(id) {
    const ender = new AbortController();
    this.#followed.set(id, ender);
    const onOrder = (order) => {
      if (ender.signal.aborted) return;
      this.#store.update({ orders: withRow(this.#store.state.orders, order) });
      if (!isOpen(order)) this.#tabs?.postMessage({ user: this.#store.state.user });
    };
    try {
      await followOrder(id, { user: this.#store.state.user, signal: ender.signal, onOrder });
    } catch (error) {
      if (!ender.signal.aborted) throw error;
    } finally {
      if (this.#followed.get(id) === ender) this.#followed.delete(id);
    }
    if (!ender.signal.aborted) this.#follow();
  }

  /** A hidden tab holds no streams: the browser has few, and the tab that is looked at needs them. */
  #unfollow() {
    for (const ender of this.#followed.values()) ender.abort();
    this.#followed.clear();
  }

  async #lookNowAndThen() {
    for (;;) {
      const ms = this.#store.openOrders().length > 0 ? LOOK_EVERY_MS.busy : LOOK_EVERY_MS.idle;
      await new Promise((resolve) => setTimeout(resolve, ms));
      if (!document.hidden) await this.refresh({ isRoutine: true });
    }
  }
}
