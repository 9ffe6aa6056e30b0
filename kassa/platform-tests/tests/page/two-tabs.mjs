// Two tabs of one browser, and a second browser of the same person: all of them agree.

import assert from 'node:assert/strict';

import { eventually, run, someone } from './harness.mjs';
import * as person from './person.mjs';

const LEDGER = `Over plain HTTP −40.00 0.00
Seen from afar −30.00 40.00
From the second −20.00 70.00
From the first −10.00 90.00
Top-up +100.00 100.00`;

await run(async ({ open }) => {
  const name = someone('twin');
  const first = await open();
  await person.signIn(first, name);
  await person.openAccount(first, '100');

  // The second tab knows who is signed in, and sees what the first one does without being touched.
  const second = await open({ context: first.context });
  await person.seesBalance(second, '100.00');
  await person.placeOrder(first, '10', 'From the first');
  await person.seesStages(second, 'From the first', person.FINISHED);
  await person.placeOrder(second, '20', 'From the second');
  await person.seesStages(first, 'From the second', person.FINISHED);
  for (const tab of [first, second]) await person.seesBalance(tab, '70.00');

  // Another browser hears of nothing, but looks now and then.
  const other = await open({ isPlainHttp: true });
  await person.signIn(other, name);
  await person.seesBalance(other, '70.00');
  await person.placeOrder(first, '30', 'Seen from afar');
  await person.seesStages(other, 'Seen from afar', person.FINISHED);
  await person.seesBalance(other, '40.00');
  await person.placeOrder(other, '40', 'Over plain HTTP');
  for (const tab of [first, second, other]) await person.seesStages(tab, 'Over plain HTTP', person.FINISHED);

  const expected = ['Over plain HTTP', 'Seen from afar', 'From the second', 'From the first'];
  for (const tab of [first, second, other]) {
    assert.deepEqual(await tab.page.locator('.order-what').allInnerTexts(), expected);
    await eventually('the ledger', () => person.ledger(tab), LEDGER);
  }

  // Signing out in one tab signs out the other.
  await first.page.getByRole('button', { name: 'Sign out' }).click();
  await second.page.getByLabel('Your name').waitFor();
});
