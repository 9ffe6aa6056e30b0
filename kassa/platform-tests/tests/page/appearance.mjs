// A telephone, dark and light, and what an accessibility checker has to say.

import assert from 'node:assert/strict';

import { findings, run, someone } from './harness.mjs';
import * as person from './person.mjs';

const TELEPHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

await run(async ({ open }) => {
  const name = someone('a-rather-long-name-for-somebody');
  for (const [size, options] of [
    ['desk', {}],
    ['telephone', TELEPHONE],
  ]) {
    for (const colorScheme of ['light', 'dark']) {
      const where = `${size}, ${colorScheme}`;
      const alice = await open({ ...options, colorScheme });
      alice.expects(/status of 400 .*\/orders$/u);
      assert.deepEqual(await findings(alice.page), [], `${where}: the way in`);
      await fits(alice, where);
      await person.signIn(alice, name);
      if (where === 'desk, light') await fill(alice);
      await person.seesStages(alice, 'Declined', person.DECLINED);
      // With an error on it, too.
      await person.placeOrder(alice, '1.234');
      await alice.page.locator('.note.is-error').waitFor();
      assert.deepEqual(await findings(alice.page), [], `${where}: the desk`);
      await fits(alice, where);
      const paper = await alice.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const brightness = paper
        .match(/\d+/gu)
        .slice(0, 3)
        .reduce((sum, part) => sum + Number(part), 0);
      assert.equal(brightness > 384, colorScheme === 'light', `${where}: the paper is ${paper}`);
    }
  }
});

async function fill(alice) {
  await person.openAccount(alice, '1000000');
  await person.placeOrder(
    alice,
    '12345.67',
    'Something with a long description, as people write it when there is room for five hundred characters',
  );
  await person.placeOrder(alice, '9999999999999.99', 'Declined');
  await person.seesStages(alice, 'Declined', person.DECLINED);
}

/** Nothing reaches over the right edge. */
async function fits({ page }, where) {
  const { scrolls, shows } = await page.evaluate(() => ({
    scrolls: document.documentElement.scrollWidth,
    shows: innerWidth,
  }));
  assert.ok(scrolls <= shows, `${where}: ${scrolls} px on ${shows}`);
}
