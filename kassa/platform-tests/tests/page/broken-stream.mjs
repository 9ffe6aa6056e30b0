// An order is followed over its event stream; where there is none, the page looks each second. Where there is no
// gateway, it says so and comes back by itself.

import assert from 'node:assert/strict';

import { eventually, platform, run, someone } from './harness.mjs';
import * as person from './person.mjs';

await run(async ({ open }) => {
  const alice = await open();
  const { page } = alice;
  alice.expects(/status of 404 .*\/events$/u);
  alice.expects(/Failed to load resource: net::ERR_.*\/events$/u);
  const looks = [];
  page.on('request', (request) => {
    const [, look] = /\/orders\/[^/]+(\/events)?$/u.exec(request.url()) ?? [null, null];
    if (look !== null) looks.push(look ?? 'look');
  });
  await person.signIn(alice, someone('streams'));
  await person.openAccount(alice, '100');

  await person.placeOrder(alice, '1', 'Streamed');
  await person.seesStages(alice, 'Streamed', person.FINISHED);

  for (const [what, answer] of [
    [
      'No stream',
      (route) => route.fulfill({ status: 404, contentType: 'application/problem+json', body: '{"code":"not_found"}' }),
    ],
    ['Broken line', (route) => route.abort()],
    ['Broken off', (route) => route.fulfill({ contentType: 'text/event-stream', body: ': hello\n\nid: 1\nda' })],
  ]) {
    await page.route('**/events', answer);
    await platform('stop', 'orders-processor');
    await person.placeOrder(alice, '1', what);
    await person.seesStages(alice, what, person.WAITING);
    await platform('start', 'orders-processor');
    await person.seesStages(alice, what, person.FINISHED);
    await page.unroute('**/events');
  }

  // The gateway itself goes away under an open order: that is said, and once it is back the page goes on.
  alice.expects(/Failed to load resource: net::ERR_/u);
  alice.expects(/status of 50[23] /u);
  await platform('stop', 'orders-processor');
  await person.placeOrder(alice, '1', 'Gateway away');
  await person.seesStages(alice, 'Gateway away', person.WAITING);
  await platform('stop', 'gateway');
  await eventually(
    'the banner',
    () => page.getByRole('alert').innerText(),
    /^The gateway does not answer\. Trying again/u,
  );
  await person.seesService(alice, 'gateway', 'down');
  await person.seesService(alice, 'orders-api', 'unknown');
  await platform('start', 'gateway');
  await platform('start', 'orders-processor');
  await person.seesStages(alice, 'Gateway away', person.FINISHED);
  await eventually('the banner', () => page.locator('#connection').textContent(), '');
  await person.seesBalance(alice, '95.00');
  assert.ok(looks.includes('/events') && looks.includes('look'), looks.join(' '));
});
