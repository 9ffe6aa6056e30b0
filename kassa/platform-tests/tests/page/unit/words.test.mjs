// What people read: stages, reasons, problems, times.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { healthOf } from '../../../../../gateway/web/assets/health.mjs';
import { Problem, sentence } from '../../../../../gateway/web/assets/problem.mjs';
import { objection } from '../../../../../gateway/web/assets/session.mjs';
import { clock, duration, reasonInWords, stagesOf } from '../../../../../gateway/web/assets/words.mjs';

const order = (status, statusReason = null) => ({
  status,
  statusReason,
  createdAt: '2026-01-02T03:04:05.100Z',
  updatedAt: '2026-01-02T03:04:05.184Z',
});
const states = ({ steps }) => steps.map(([name, state]) => `${name} ${state}`).join(', ');

test('a new order is accepted and requested, and waits to be decided', () => {
  assert.equal(states(stagesOf(order('NEW'))), 'Accepted done, Requested done, Decided now, Finished todo');
  assert.match(stagesOf(order('NEW'), { isPaymentDown: true }).note, /Payments are down; it goes on by itself/u);
});

test('an order whose payment is in the ledger is decided, and waits to be closed', () => {
  assert.equal(
    states(stagesOf(order('NEW'), { isPaid: true })),
    'Accepted done, Requested done, Decided done, Finished now',
  );
});

test('a finished order says how long it took, a declined one why', () => {
  assert.equal(states(stagesOf(order('FINISHED'))), 'Accepted done, Requested done, Decided done, Finished done');
  assert.equal(stagesOf(order('FINISHED')).note, 'Paid 84 ms after it was placed.');
  const declined = stagesOf(order('CANCELLED', 'insufficient_funds'));
  assert.equal(states(declined), 'Accepted done, Requested done, Decided done, Declined failed');
  assert.equal(declined.note, 'Declined: the balance did not cover it.');
});

test('a reason of a later version is shown in its own words', () => {
  assert.equal(reasonInWords('card_expired'), 'Card expired.');
});

test('times are short, and have a date only on another day', () => {
  assert.deepEqual([84, 2400, 180_000, 7_200_000].map(duration), ['84 ms', '2.4 s', '3 min', '2 h']);
  const now = new Date(2026, 0, 2, 15, 0, 0);
  assert.equal(clock(new Date(2026, 0, 2, 14, 3, 9).toISOString(), now), '14:03:09');
  assert.match(clock(new Date(2026, 0, 1, 14, 3, 9).toISOString(), now), /1.*14:03:09/u);
});

test('a problem becomes sentences, at the fields that it points at', () => {
  const document = {
    detail: 'amount must be greater than 0',
    code: 'invalid_amount',
    errors: [{ pointer: '/amount', detail: 'must be greater than 0' }],
  };
  const problem = new Problem(400, document);
  assert.equal(problem.message, 'Amount must be greater than 0.');
  assert.deepEqual([...problem.fields], [['amount', 'Must be greater than 0.']]);
  assert.equal(problem.isTemporary, false);
  assert.equal(new Problem(503, {}, '2').retryAfterMs, 2000);
  assert.equal(new Problem(409, { code: 'idempotency_in_progress' }).isTemporary, true);
  assert.equal(new Problem(502).message, 'The service answered 502.');
  assert.equal(sentence('done!'), 'done!'.replace('d', 'D'));
});

test('a name is refused with the reason, before any request', () => {
  for (const name of ['alice', 'bob@example.com', 'x'.repeat(255)]) assert.equal(objection(name), '', name);
  for (const name of ['', 'a b', 'zoë', 'a\tb', 'x'.repeat(256)]) assert.notEqual(objection(name), '', name);
});

test('health is what the gateway says, unless it has not looked for a while', () => {
  const parts = [
    { name: 'orders-api', status: 'up', checkedSecondsAgo: 1 },
    { name: 'payments-processor', status: 'down', checkedSecondsAgo: 0.5 },
    { name: 'payments-api', status: 'up', checkedSecondsAgo: 60 },
  ];
  const expected = [
    ['gateway', 'up'],
    ['orders-api', 'up'],
    ['payments-processor', 'down'],
    ['payments-api', 'unknown'],
  ];
  assert.deepEqual([...healthOf({ status: 'not_ready', parts })], expected);
  assert.equal(healthOf({ status: 'stopping' }).get('gateway'), 'stopping');
});
