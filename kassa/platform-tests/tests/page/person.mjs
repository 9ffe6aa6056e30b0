// What people do on the page, and what they see there, by the words that they read.

import { eventually } from './harness.mjs';

export async function signIn({ page }, name) {
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Come in' }).click();
  await page.getByRole('heading', { name: `Account of ${name}` }).waitFor();
}

/** Opens an account for somebody new, with money on it. */
export async function openAccount(person, amount) {
  await person.page.getByRole('button', { name: 'Open an account' }).click();
  await topUp(person, amount);
}

export async function topUp({ page }, amount) {
  await page.getByLabel('Top up', { exact: true }).and(page.locator('input')).fill(amount);
  await page.getByRole('button', { name: 'Top up' }).click();
  await page.getByText(/^Topped up by/u).waitFor();
}

export async function placeOrder({ page }, amount, what = '') {
  // One after the other: while an order is on its way, its form takes no second one.
  await page.locator('#place-order[aria-busy="false"]').waitFor();
  await page.getByLabel('Amount').fill(amount);
  await page.getByLabel(/^What for/u).fill(what);
  await page.getByRole('button', { name: 'Place the order' }).click();
}

export const balance = ({ page }) => page.locator('#balance').innerText();

/** An order by its words. */
export const order = ({ page }, what) => page.locator('.order').filter({ hasText: what });

/** `Accepted done, Requested done, Decided now, Finished todo` */
export async function stages(person, what) {
  const steps = order(person, what).locator('.stages li');
  const read = (items) => items.map((item) => `${item.firstChild.textContent} ${item.dataset.state}`).join(', ');
  return steps.evaluateAll(read);
}

export const WAITING = 'Accepted done, Requested done, Decided now, Finished todo';
export const FINISHED = 'Accepted done, Requested done, Decided done, Finished done';
export const DECLINED = 'Accepted done, Requested done, Decided done, Declined failed';

export async function seesStages(person, what, expected) {
  await eventually(`the stages of ${what}`, () => stages(person, what), expected);
}

export async function seesBalance(person, expected) {
  await eventually('the balance', () => balance(person), expected);
}

/** The ledger, a line each: `Two tickets −30.00 70.00`. */
export async function ledger({ page }) {
  const read = (rows) =>
    rows.map((row) => {
      const cell = (part) => row.querySelector(part).textContent;
      return `${cell('.line-what')} ${cell('.line-change')} ${cell('.line-balance')}`;
    });
  return (await page.locator('#ledger tr').evaluateAll(read)).join('\n');
}

export async function seesService({ page }, part, state) {
  const look = () => page.locator(`#services [data-part="${part}"]`).getAttribute('data-state');
  await eventually(`the state of ${part}`, look, state);
}
