// What happened to an order, and when, by the clocks of those who did it: asked for when somebody opens it.

import { call } from './api.mjs';
import { duration } from './words.mjs';

const NAMES = {
  accepted: 'Accepted',
  staged: 'Put into the outbox, in the same commit',
  published: 'Request published',
  received: 'Received by the payments processor',
  decided: 'Decided, in the same commit',
  answered: 'Decision published',
  closed: 'Closed',
};

/** Fills each order's timeline when it is opened, and again when its order changes meanwhile. */
export function showTimelines(list, user) {
  // `toggle` does not bubble, but it can be caught on its way down.
  list.addEventListener('toggle', ({ target }) => target.open && fill(target, user()), true);
}

/** The order of this row has changed. */
export function orderChanged(row) {
  row.querySelector('.order-when').dispatchEvent(new Event('toggle'));
}

async function fill(details, user) {
  const lines = details.querySelector('ol');
  try {
    const { data } = await call(`/orders/${details.closest('.order').dataset.id}/timeline`, { user });
    lines.replaceChildren(...data.map(line));
  } catch (error) {
    const item = Object.assign(document.createElement('li'), { textContent: error.message });
    lines.replaceChildren(item);
  }
}

/** A stage, and how long after the order was accepted it was passed. */
export function words({ stage, afterMs }) {
  const name = NAMES[stage] ?? stage;
  // The broker counts whole milliseconds, so its clock may be behind by one.
  return afterMs < 1 ? name : `${name} after ${duration(afterMs)}`;
}

function line(entry) {
  return Object.assign(document.createElement('li'), { textContent: words(entry), title: entry.at });
}
