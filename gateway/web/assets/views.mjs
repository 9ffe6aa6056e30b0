// Draws the state of the store. Nothing here decides anything.

import { byId, fromTemplate, setText, showRows } from './dom.mjs';
import { show, showChange } from './money.mjs';
import { orderChanged } from './timeline.mjs';
import { clock, stagesOf } from './words.mjs';

const PART_STATES = { up: 'up', down: 'down', stopping: 'stops', unknown: '?', unwatched: '–' };
const STEP_WORDS = { done: 'done', now: 'under way', todo: 'not yet', failed: '' };

export function drawServices({ health }) {
  for (const item of byId('services').children) {
    const state = health === null ? null : (health.get(item.dataset.part) ?? 'unwatched');
    item.dataset.state =
      health?.get('gateway') === 'down' && item.dataset.part !== 'gateway' ? 'unknown' : (state ?? '');
    setText(item.querySelector('.part-state'), PART_STATES[item.dataset.state] ?? '…');
  }
}

export function drawConnection({ isReached }) {
  const text = navigator.onLine
    ? 'The gateway does not answer. Trying again; what you see may be old.'
    : 'You are offline. What you see may be old; the page goes on by itself.';
  const isAway = !navigator.onLine || !isReached;
  byId('connection').classList.toggle('is-shown', isAway);
  setText(byId('connection'), isAway ? text : '');
}

export function drawAccount({ user, account, trouble }) {
  setText(byId('who'), user ?? '');
  setText(byId('account-title'), user ? `Account of ${user}` : '');
  byId('open-account').hidden = account !== null;
  byId('top-up').hidden = account === null;
  byId('balance').classList.toggle('is-absent', !account);
  setText(byId('balance'), account ? show(account.balance) : account === null ? 'No account yet' : '…');
  drawTrouble('account', trouble.account);
}

export function drawOrders({ orders, ledger, health, trouble }) {
  const paid = new Set(ledger.rows.map(({ orderId }) => orderId));
  const isPaymentDown = health?.get('payments-processor') === 'down';
  showRows(
    byId('orders'),
    orders.rows,
    () => fromTemplate('order-row'),
    (node, order) => {
      drawOrder(node, order, stagesOf(order, { isPaid: paid.has(order.id), isPaymentDown }));
    },
  );
  drawListEnd('orders', orders);
  drawTrouble('orders', trouble.orders);
}

function drawOrder(node, order, { steps, note }) {
  if (node.dataset.status !== order.status) {
    node.dataset.status = order.status;
    orderChanged(node);
  }
  const what = node.querySelector('.order-what');
  what.classList.toggle('is-absent', !order.description);
  setText(what, order.description || 'Order without a note');
  setText(node.querySelector('.order-amount'), show(order.amount));
  [...node.querySelector('.stages').children].forEach((item, number) => drawStep(item, steps[number]));
  setText(node.querySelector('.order-note'), note);
  drawTime(node, order.createdAt);
}

function drawStep(item, [name, state]) {
  if (item.dataset.state === state && item.firstChild?.textContent === name) return;
  item.dataset.state = state;
  item.toggleAttribute('aria-current', false);
  if (state === 'now') item.setAttribute('aria-current', 'step');
  const word = Object.assign(document.createElement('span'), { className: 'visually-hidden' });
  word.textContent = STEP_WORDS[state] && ` ${STEP_WORDS[state]}`;
  item.replaceChildren(name, word);
}

export function drawLedger({ account, orders, ledger, trouble }) {
  const names = new Map(orders.rows.map(({ id, description }) => [id, description]));
  showRows(
    byId('ledger'),
    ledger.rows,
    () => fromTemplate('ledger-row'),
    (node, line) => {
      const isIncome = line.type === 'topup';
      node.dataset.type = line.type;
      setText(node.querySelector('.line-what'), isIncome ? 'Top-up' : names.get(line.orderId) || 'Payment');
      setText(node.querySelector('.line-change'), showChange(line.amount));
      setText(node.querySelector('.line-balance'), show(line.balanceAfter));
      drawTime(node, line.createdAt);
    },
  );
  byId('ledger').parentElement.hidden = ledger.rows.length === 0;
  drawListEnd('ledger', account === null ? { ...ledger, isRead: true } : ledger);
  drawTrouble('ledger', trouble.ledger);
}

function drawTime(node, iso) {
  const time = node.querySelector('time');
  time.dateTime = iso;
  setText(time, clock(iso));
}

function drawListEnd(part, { rows, next, isRead }) {
  byId(`${part}-empty`).hidden = !isRead || rows.length > 0;
  byId(part === 'orders' ? 'older-orders' : 'older-lines').hidden = !next;
}

/** Short, so that nothing moves for it; which service is away is said above. */
function drawTrouble(part, problem) {
  const state = byId(`${part}-state`);
  setText(state, problem ? 'Not up to date' : '');
  state.title = problem?.message ?? '';
}
