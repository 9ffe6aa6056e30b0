// Lists that grow at both ends and never go back.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  NO_LEDGER,
  NO_ORDERS,
  withFirstPage,
  withOlderPage,
  withRow,
} from '../../../../../gateway/web/assets/rows.mjs';

const order = (id, status = 'FINISHED') => ({ id, status });
const ids = ({ rows }) => rows.map(({ id }) => id).join('');

test('a new order comes first, whichever answer is read first', () => {
  const list = withFirstPage(NO_ORDERS, [order('b'), order('a')], null);
  const placed = withRow(list, order('c', 'NEW'));
  assert.equal(ids(placed), 'cba');
  const readBefore = withFirstPage(placed, [order('b'), order('a')], null);
  assert.equal(ids(readBefore), 'cba');
});

test('a closed order is never shown open again by an older answer', () => {
  const closed = withRow(NO_ORDERS, order('a', 'CANCELLED'));
  assert.equal(withRow(closed, order('a', 'NEW')).rows[0].status, 'CANCELLED');
  assert.equal(withFirstPage(closed, [order('a', 'NEW')], null).rows[0].status, 'CANCELLED');
});

test('older pages stay, with the way to the next one, when the first page is read again', () => {
  let list = withFirstPage(NO_ORDERS, [order('f'), order('e')], '/2');
  list = withOlderPage(list, [order('d'), order('c')], '/3');
  list = withFirstPage(list, [order('g'), order('f')], '/other');
  assert.equal(ids(list), 'gfedc');
  assert.equal(list.next, '/3');
});

test('when more came in between than a page holds, the rows begin anew', () => {
  const list = withFirstPage(withFirstPage(NO_ORDERS, [order('b'), order('a')], null), [order('z'), order('y')], '/2');
  assert.equal(ids(list), 'zy');
  assert.equal(list.next, '/2');
});

test('the ledger stays as the service sorts it', () => {
  const line = (id) => ({ id });
  const list = withFirstPage(NO_LEDGER, [line('b'), line('z')], null);
  assert.equal(ids(withFirstPage(list, [line('c'), line('b')], null)), 'cbz');
});
