// What an order's status means, in words: the stages it goes through, and why it ended as it did.

import { sentence } from './problem.mjs';

const REASONS = {
  insufficient_funds: 'the balance did not cover it.',
  account_not_found: 'there was no account to pay from.',
};

/** Why an order was declined; short, for a telephone's line. A reason that a later version adds is shown as it is. */
export function reasonInWords(reason) {
  return REASONS[reason] ?? sentence(String(reason ?? 'no reason was given').replaceAll('_', ' '));
}

export function isOpen(order) {
  return order.status === 'NEW';
}

/**
 * Where an order stands: four steps, each `done`, `now`, `todo` or `failed`, and a sentence.
 *
 * An order is stored in one commit with the request for its payment, so "accepted" and "requested" are true together.
 * `isPaid`: its payment is in the ledger already. `isPaymentDown`: the payments processor is known not to run.
 */
export function stagesOf(order, { isPaid = false, isPaymentDown = false } = {}) {
  const stored = [
    ['Accepted', 'done'],
    ['Requested', 'done'],
  ];
  if (order.status === 'FINISHED') {
    const note = `Paid ${span(order)} after it was placed.`;
    return { steps: [...stored, ['Decided', 'done'], ['Finished', 'done']], note };
  }
  if (order.status === 'CANCELLED') {
    const note = `Declined: ${reasonInWords(order.statusReason)}`;
    return { steps: [...stored, ['Decided', 'done'], ['Declined', 'failed']], note };
  }
  if (isPaid) {
    const note = 'Paid; the order is being closed.';
    return { steps: [...stored, ['Decided', 'done'], ['Finished', 'now']], note };
  }
  const note = isPaymentDown ? 'Payments are down; it goes on by itself.' : 'Safely stored; waiting for the decision.';
  return { steps: [...stored, ['Decided', 'now'], ['Finished', 'todo']], note };
}

/** From placed to closed, by the service's own clock. */
function span({ createdAt, updatedAt }) {
  const ms = Math.max(0, Date.parse(updatedAt) - Date.parse(createdAt));
  return duration(ms);
}

/** `84 ms`, `2.4 s`, `3 min`, `2 h`. */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

const TIME = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };

/** A time of day for today, with the date otherwise. */
export function clock(iso, now = new Date()) {
  const at = new Date(iso);
  const time = at.toLocaleTimeString([], TIME);
  const isToday = at.toDateString() === now.toDateString();
  return isToday ? time : `${at.toLocaleDateString([], { day: 'numeric', month: 'short' })}, ${time}`;
}
