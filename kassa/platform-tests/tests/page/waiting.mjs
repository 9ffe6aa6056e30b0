// The payments processor stops and comes back: an order waits in sight of everybody, and finishes by itself.

import assert from 'node:assert/strict';

import { eventually, platform, run, someone } from './harness.mjs';
import * as person from './person.mjs';

await run(async ({ open }) => {
  const alice = await open();
  await person.signIn(alice, someone('patient'));
  await person.openAccount(alice, '100');
  await platform('stop', 'payments-processor');
  await person.seesService(alice, 'payments-processor', 'down');

  const heights = () =>
    alice.page.locator('.order').evaluateAll((rows) => rows.map(({ offsetHeight }) => offsetHeight));
  // Eight of them: more than a browser has connections for, if each held a stream.
  for (let number = 1; number <= 8; number += 1) {
    await person.placeOrder(alice, '5', `Order ${number}.`);
    await person.seesStages(alice, `Order ${number}.`, person.WAITING);
  }
  const note = person.order(alice, 'Order 1.').locator('.order-note');
  await eventually('the note', () => note.innerText(), /^Payments are down; it goes on by itself\.$/u);
  await person.seesBalance(alice, '100.00');
  const waiting = await heights();

  // A reload watches the open orders again; a second tab has its connections too.
  await alice.page.reload();
  await person.seesStages(alice, 'Order 1.', person.WAITING);
  const second = await open({ context: alice.context });
  await person.seesStages(second, 'Order 8.', person.WAITING);
  await person.topUp(second, '1');

  await platform('start', 'payments-processor');
  for (let number = 1; number <= 8; number += 1) {
    for (const tab of [alice, second]) await person.seesStages(tab, `Order ${number}.`, person.FINISHED);
  }
  for (const tab of [alice, second]) await person.seesBalance(tab, '61.00');
  await person.seesService(alice, 'payments-processor', 'up');
  assert.deepEqual(await heights(), waiting, 'a row keeps its height through all stages');
});
