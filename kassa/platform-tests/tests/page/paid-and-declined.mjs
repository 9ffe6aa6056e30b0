// The whole story: a name, an account, money, an order that is paid, one that is declined, and a reload.

import assert from 'node:assert/strict';

import { eventually, run, someone } from './harness.mjs';
import * as person from './person.mjs';

await run(async ({ open }) => {
  const alice = await open();
  const name = someone('alice');
  const { page } = alice;
  await page.getByText('Demo mode. Everybody is believed').waitFor();
  for (const part of ['gateway', 'orders-api', 'payments-api', 'orders-processor', 'payments-processor']) {
    await person.seesService(alice, part, 'up');
  }

  await person.signIn(alice, name);
  await page.getByText('No account yet').waitFor();
  await person.openAccount(alice, '100');
  await person.seesBalance(alice, '100.00');

  await person.placeOrder(alice, '30', 'Two tickets');
  await person.seesStages(alice, 'Two tickets', person.FINISHED);
  await person.seesBalance(alice, '70.00');
  await eventually('the ledger', () => person.ledger(alice), 'Two tickets −30.00 70.00\nTop-up +100.00 100.00');
  await eventually(
    'what is announced',
    () => page.locator('#announcer').innerText(),
    /^Two tickets over 30\.00: Paid/u,
  );

  await person.order(alice, 'Two tickets').getByText('What happened when').click();
  const timeline = person.order(alice, 'Two tickets').locator('.order-when li');
  await eventually('the timeline', () => timeline.last().innerText(), /^Closed after \d/u);
  assert.equal(await timeline.count(), 7);

  await person.placeOrder(alice, '70,01', 'A piano');
  await person.seesStages(alice, 'A piano', person.DECLINED);
  assert.match(await person.order(alice, 'A piano').innerText(), /Declined: the balance did not cover it\./u);
  await person.seesBalance(alice, '70.00');

  // A reload forgets nothing.
  await page.reload();
  await person.seesBalance(alice, '70.00');
  await person.seesStages(alice, 'Two tickets', person.FINISHED);
  assert.deepEqual(await page.locator('.order-what').allInnerTexts(), ['A piano', 'Two tickets']);

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Your name').waitFor();
  assert.equal(await page.locator('.order').count(), 0, 'the next person sees nothing of it');
  await page.reload();
  await page.getByLabel('Your name').waitFor();
});
