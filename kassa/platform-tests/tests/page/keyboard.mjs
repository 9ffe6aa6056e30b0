// Everything without a mouse, and the focus is always somewhere, in sight.

import assert from 'node:assert/strict';

import { eventually, run, someone } from './harness.mjs';
import * as person from './person.mjs';

await run(async ({ open }) => {
  const alice = await open();
  const { page } = alice;
  const name = someone('keys');
  const focus = () =>
    page.evaluate(() => {
      const { id, textContent, tagName } = document.activeElement;
      return id || (tagName === 'BODY' ? 'nowhere' : `${tagName} ${textContent.trim()}`);
    });
  const press = async (key, expected) => {
    await page.keyboard.press(key);
    await eventually(`the focus after ${key}`, focus, expected);
    assert.ok(await isOutlined(page), `the focus on ${expected} is in sight`);
  };

  // The first stop skips to the content, on whose way everything lies.
  await press('Tab', 'A Skip to the content');
  await page.keyboard.press('Enter');
  await eventually('the focus after the skip link', focus, 'main');
  await press('Tab', 'name');
  await page.keyboard.type(name);
  await page.keyboard.press('Enter');
  await eventually('the focus after signing in', focus, 'account-title');
  await page.getByRole('button', { name: 'Open an account' }).waitFor();

  await press('Tab', 'BUTTON Open an account');
  await page.keyboard.press('Enter');
  await eventually('the focus after opening an account', focus, 'top-up-amount');
  await page.keyboard.type('50');
  await page.keyboard.press('Enter');
  await person.seesBalance(alice, '50.00');
  await eventually('the focus stays', focus, 'top-up-amount');

  await press('Tab', 'BUTTON Top up');
  await press('Tab', 'order-amount');
  await page.keyboard.type('12.50');
  await press('Tab', 'order-description');
  await page.keyboard.type('By keyboard');
  await press('Tab', 'BUTTON Place the order');
  await page.keyboard.press('Space');
  await person.seesStages(alice, 'By keyboard', person.FINISHED);
  await person.seesBalance(alice, '37.50');

  // Out again, and the focus is where one goes on.
  for (let stops = 0; stops < 20 && (await focus()) !== 'BUTTON Sign out'; stops += 1)
    await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await eventually('the focus after signing out', focus, 'name');
});

/** Whether the focused element draws something round itself. */
function isOutlined(page) {
  return page.evaluate(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
  });
}
