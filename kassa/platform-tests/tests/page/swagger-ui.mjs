// Swagger UI: whoever says who he is orders and pays by pressing Execute, and types nothing else.

import assert from 'node:assert/strict';

import { eventually, run, someone, told } from './harness.mjs';

await run(async ({ open }) => {
  const reader = await open();
  const { page } = reader;
  await page.goto(`${told.gateway}/docs`);
  const name = someone('reader');

  await page.locator('.auth-wrapper').getByRole('button', { name: 'Authorize' }).click();
  await page.locator('.auth-container input').fill(name);
  await page.locator('.auth-btn-wrapper').getByRole('button', { name: 'Apply credentials' }).click();
  await page.locator('.auth-btn-wrapper').getByRole('button', { name: 'Close' }).click();

  const execute = async (operation, status) => {
    const block = page.locator(`#operations-${operation}`);
    await block.locator('.opblock-summary-control').click();
    await block.getByRole('button', { name: 'Execute' }).click();
    const answer = block.locator('.live-responses-table tbody').first();
    await eventually(operation, () => answer.locator('.response-col_status').innerText(), status);
    return answer.locator('.response-col_description').innerText();
  };
  await execute('Accounts-openAccount', /^201/u);
  const toppedUp = await execute('Accounts-topUpAccount', /^200/u);
  assert.match(toppedUp, /"balance": "100\.00"/u);
  const placed = await execute('Orders-placeOrder', /^201/u);
  assert.match(placed, /"status": "FINISHED"/u);
  assert.match(placed, /preference-applied: wait=10/u);
  assert.match(await execute('Accounts-getBalance', /^200/u), /"balance": "70\.00"/u);
  assert.match(await execute('Orders-listOrders', /^200/u), /two tickets/u);

  const problem = page.locator('#operations-Orders-placeOrder .responses-inner', { hasText: 'circuit_open' });
  assert.equal(await problem.count(), 1, 'every problem is described');
  // It is laid out while it loads, which is its own affair; what it asks for and complains of is checked all the same.
  await page.close();
});
