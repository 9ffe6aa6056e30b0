// Money as it is typed and as it is shown.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fromTyped, show, showChange } from '../../../../../gateway/web/assets/money.mjs';

test('amounts are grouped, with two decimals', () => {
  const shown = ['0.00', '5', '12.5', '999.99', '1000.00', '1234567.89', '9999999999999.99'].map(show);
  const expected = ['0.00', '5.00', '12.50', '999.99', '1 000.00', '1 234 567.89', '9 999 999 999 999.99'];
  assert.deepEqual(
    shown.map((text) => text.replaceAll('\u202f', ' ')),
    expected,
  );
});

test('a change has its sign, with a real minus', () => {
  assert.equal(showChange('-30.5'), '\u221230.50');
  assert.equal(showChange('100.00'), '+100.00');
});

test('what is no amount is shown as it came', () => {
  assert.deepEqual([show('abc'), show('1.234'), show(undefined), show(null)], ['abc', '1.234', '', '']);
});

test('spaces between thousands and a decimal comma are understood', () => {
  const typed = {
    ' 12.50 ': '12.50',
    '12,5': '12.5',
    '1 000': '1000',
    '1\u202f234\u00a0567,89': '1234567.89',
    "1'000.00": '1000.00',
  };
  for (const [text, amount] of Object.entries(typed)) assert.equal(fromTyped(text), amount, text);
});

test('nothing is guessed: whatever may mean two things goes to the service as it is', () => {
  for (const text of ['1,000', '1.000,00', '1,2,3', '1 00', '1 2', '-5', '+5', '1e3', '12.', 'ten', '']) {
    assert.equal(fromTyped(text), text, text);
  }
});
