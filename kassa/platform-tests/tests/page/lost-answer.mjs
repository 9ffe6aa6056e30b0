// Answers get lost, services are busy, fingers click twice: nothing is done twice, and nothing is given up.

import assert from 'node:assert/strict';

import { eventually, run, someone } from './harness.mjs';
import * as person from './person.mjs';

await run(async ({ open }) => {
  const alice = await open();
  const { page } = alice;
  alice.expects(/Failed to load resource: net::ERR_(FAILED|INTERNET_DISCONNECTED)/u);
  alice.expects(/status of 503/u);
  await person.signIn(alice, someone('unlucky'));
  await person.openAccount(alice, '100');

  // The service does it, and its answer is lost; then it is busy; then the first answer comes again.
  const keys = [];
  await page.route('**/orders', async (route) => {
    if (route.request().method() !== 'POST') return route.continue();
    keys.push(await route.request().headerValue('Idempotency-Key'));
    if (keys.length === 1) {
      await route.fetch();
      return route.abort();
    }
    return keys.length === 2 ? route.fulfill({ status: 503, headers: { 'Retry-After': '0' } }) : route.continue();
  });
  await person.placeOrder(alice, '30', 'Once');
  await page.getByText(/^No answer yet\. Trying again under the same key/u).waitFor();
  await person.seesStages(alice, 'Once', person.FINISHED);
  await page.getByText('The order is accepted.').waitFor();
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1, 'one key for all three');
  await page.unroute('**/orders');
  await person.seesBalance(alice, '70.00');

  // A double click is one wish.
  await page.getByLabel('Amount').fill('10');
  await page.getByLabel(/^What for/u).fill('Double click');
  await page.getByRole('button', { name: 'Place the order' }).dblclick();
  await person.seesStages(alice, 'Double click', person.FINISHED);
  await person.seesBalance(alice, '60.00');

  // A reload while an answer is lost: the page goes on with it, under the same key.
  let isLost = true;
  const topUps = [];
  await page.route('**/accounts/topup', async (route) => {
    topUps.push(await route.request().headerValue('Idempotency-Key'));
    if (!isLost) return route.continue();
    if (topUps.length === 1) await route.fetch();
    return route.abort();
  });
  await page.locator('#top-up-amount').fill('5');
  await page.getByRole('button', { name: 'Top up' }).click();
  await page.getByText(/^No answer yet/u).waitFor();
  await page.reload();
  await page.getByText(/^No answer yet/u).waitFor();
  isLost = false;
  await page.getByText('Topped up by 5.00.').waitFor();
  await person.seesBalance(alice, '65.00');
  assert.equal(new Set(topUps).size, 1, 'one key before and after the reload');

  // Offline is said, and so is what was done meanwhile once it is over.
  await alice.context.setOffline(true);
  await eventually('the banner', () => page.getByRole('alert').innerText(), /^You are offline/u);
  await page.getByLabel('Amount').fill('15');
  await page.getByLabel(/^What for/u).fill('Placed offline');
  await page.getByRole('button', { name: 'Place the order' }).click();
  await page.getByText(/^No answer yet/u).waitFor();
  await alice.context.setOffline(false);
  await person.seesStages(alice, 'Placed offline', person.FINISHED);
  await eventually('the banner', () => page.locator('#connection').textContent(), '');
  await person.seesBalance(alice, '50.00');
  assert.deepEqual(await page.locator('.order-what').allInnerTexts(), ['Placed offline', 'Double click', 'Once']);
});
