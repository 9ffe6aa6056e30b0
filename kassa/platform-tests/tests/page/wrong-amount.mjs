// What is refused is shown where it is wrong, and nothing happens.

import assert from 'node:assert/strict';

import { eventually, run, someone } from './harness.mjs';
import * as person from './person.mjs';

await run(async ({ open }) => {
  const alice = await open();
  const { page } = alice;
  alice.expects(/status of 400 .*\/(orders|accounts\/topup)$/u);

  // A name that no header can carry is refused before it is sent.
  await page.getByLabel('Your name').fill('two words');
  await page.getByRole('button', { name: 'Come in' }).click();
  assert.equal(await noteOf(page, '#name'), 'Leave the spaces out.');
  await person.signIn(alice, someone('wrong'));
  await person.openAccount(alice, '20');

  const amount = page.getByLabel('Amount');
  const refusals = {
    '-5': /^Must be 1 to 13 digits/u,
    1.005: /at most two decimals|1 or 2 decimals/u,
    0: /^Must be greater than 0/u,
    '': /./u,
  };
  for (const [typed, expected] of Object.entries(refusals)) {
    await person.placeOrder(alice, typed, 'Nothing');
    await eventually(`what is said of "${typed}"`, () => noteOf(page, '#order-amount'), expected);
    assert.equal(await amount.getAttribute('aria-invalid'), 'true');
    assert.ok(await amount.evaluate((field) => field === document.activeElement), 'the focus is at the field');
    assert.equal(await page.getByLabel(/^What for/u).inputValue(), 'Nothing', 'what was typed stays');
  }
  // The error goes as soon as something else is typed.
  await amount.fill('5');
  assert.equal(await noteOf(page, '#order-amount'), '');
  assert.equal(await amount.getAttribute('aria-invalid'), null);

  await person.placeOrder(alice, '5', 'x'.repeat(501));
  await eventually('what is said of 501 characters', () => noteOf(page, '#order-description'), /500 characters/u);
  assert.equal(await page.locator('.order').count(), 0);
  await person.seesBalance(alice, '20.00');
});

/** What is written at a field, by the reference that a screen reader follows. */
async function noteOf(page, field) {
  const id = await page.locator(field).getAttribute('aria-describedby');
  return page.locator(`#${id}`).innerText();
}
