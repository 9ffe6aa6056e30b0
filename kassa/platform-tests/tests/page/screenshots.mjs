// The README's pictures: one story in daylight, the same at night while payments are down, and on a telephone.

import { join } from 'node:path';

import { platform, run, told } from './harness.mjs';
import * as person from './person.mjs';

const take = ({ page }, name, options = {}) => {
  return page.screenshot({ path: join(told.output, `page-${name}.png`), animations: 'disabled', ...options });
};

await run(async ({ open }) => {
  const size = { width: 1200, height: 780 };
  const alice = await open({ viewport: size, colorScheme: 'light' });
  await person.signIn(alice, 'alice');
  await person.openAccount(alice, '250');
  for (const [amount, what, end] of [
    ['24.90', 'Paper and ink', person.FINISHED],
    ['1200', 'A grand piano', person.DECLINED],
    ['38.50', 'Two tickets for Saturday', person.FINISHED],
    ['7.20', 'Coffee', person.FINISHED],
  ]) {
    await person.placeOrder(alice, amount, what);
    await person.seesStages(alice, what, end);
  }
  await person.seesBalance(alice, '179.40');
  await settled(alice);
  await take(alice, 'light');

  const atNight = await open({ viewport: size, colorScheme: 'dark' });
  await person.signIn(atNight, 'alice');
  await platform('stop', 'payments-processor');
  await person.seesService(atNight, 'payments-processor', 'down');
  await person.placeOrder(atNight, '12.00', 'A cup and a saucer');
  await person.seesStages(atNight, 'A cup and a saucer', person.WAITING);
  await settled(atNight);
  await take(atNight, 'dark');
  await platform('start', 'payments-processor');
  await person.seesStages(atNight, 'A cup and a saucer', person.FINISHED);

  const telephone = { viewport: { width: 375, height: 812 }, isMobile: true, hasTouch: true, colorScheme: 'light' };
  const onTheWay = await open(telephone);
  await person.signIn(onTheWay, 'alice');
  await person.placeOrder(onTheWay, '4.50', 'A sandwich');
  await person.seesStages(onTheWay, 'A sandwich', person.FINISHED);
  await person.seesService(onTheWay, 'payments-processor', 'up');
  await settled(onTheWay);
  await take(onTheWay, 'phone', { fullPage: true, clip: { x: 0, y: 0, width: 375, height: 1180 } });
});

/** Nothing moves any more, and no field shows a cursor. */
async function settled({ page }) {
  await page.evaluate(() => document.activeElement.blur());
  await page.mouse.move(0, 0);
  await page.evaluate(() => scrollTo({ top: 0, behavior: 'instant' }));
  await page.waitForTimeout(1_500);
}
