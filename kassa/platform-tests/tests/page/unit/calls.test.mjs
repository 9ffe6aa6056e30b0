// Requests that are repeated under one key, and orders that are followed through whatever happens to the stream.

import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { afterEach, test } from 'node:test';

import { newKey, nextPage, post } from '../../../../../gateway/web/assets/api.mjs';
import { pause, pauseAfter } from '../../../../../gateway/web/assets/backoff.mjs';
import { followOrder } from '../../../../../gateway/web/assets/follow-order.mjs';

// Browsers have it, and so has every Node since 19.
globalThis.crypto ??= webcrypto;
const realFetch = globalThis.fetch;
afterEach(() => (globalThis.fetch = realFetch));

/** Answers each call with the next of these; a text stands for a stream, undefined for a line that breaks. */
function answerWith(...answers) {
  const asked = [];
  globalThis.fetch = async (path, { headers, method = 'GET' }) => {
    asked.push({ path, method, key: headers.get('Idempotency-Key'), lastEventId: headers.get('Last-Event-ID') });
    const [status, body] = answers[Math.min(asked.length, answers.length) - 1] ?? [];
    if (status === undefined) throw new TypeError('failed to fetch');
    const isStream = typeof body === 'string';
    const type = isStream ? (body.startsWith('<') ? 'text/html' : 'text/event-stream') : 'application/json';
    return new Response(status === 204 ? null : isStream ? body : JSON.stringify(body), {
      status,
      headers: { 'Content-Type': type },
    });
  };
  return asked;
}

const event = (id, status) => `id: ${id}\nevent: status\ndata: ${JSON.stringify({ id: 'o', status })}\n\n`;

async function follow() {
  const seen = [];
  const signal = new AbortController().signal;
  await followOrder('o', { user: 'alice', signal, onOrder: ({ status }) => seen.push(status) });
  return seen;
}

test('a lost answer and a busy service are asked again under the same key', async () => {
  const asked = answerWith(undefined, [503, { code: 'overloaded' }], [201, { id: 'o' }]);
  const waits = [];
  const answer = await post('/orders', {
    user: 'alice',
    body: { amount: '1' },
    key: 'k',
    onWait: (error) => waits.push(error.name),
  });
  assert.equal(answer.data.id, 'o');
  assert.deepEqual(
    asked.map(({ method, key }) => `${method} ${key}`),
    ['POST k', 'POST k', 'POST k'],
  );
  assert.deepEqual(waits, ['NoAnswer', 'Problem']);
});

test('a refusal is final', async () => {
  const asked = answerWith([400, { code: 'invalid_amount' }]);
  await assert.rejects(post('/orders', { user: 'alice', key: 'k' }), { code: 'invalid_amount' });
  assert.equal(asked.length, 1);
});

test('what is none of the gateway is no answer, and nobody knows whether it was done', async () => {
  const asked = answerWith([200, '<html>Sign in</html>'], [520, '<html>'], [500, {}], [201, { id: 'o' }]);
  const waits = [];
  await post('/orders', { user: 'alice', key: 'k', onWait: (error) => waits.push(error.status ?? error.name) });
  assert.deepEqual(waits, ['NoAnswer', 520, 500]);
  assert.deepEqual(new Set(asked.map(({ key }) => key)), new Set(['k']));
});

test('an order is followed over its stream to the end', async () => {
  const asked = answerWith([200, event(1, 'NEW') + ': heartbeat\n\n' + event(2, 'FINISHED')]);
  assert.deepEqual(await follow(), ['NEW', 'FINISHED']);
  assert.deepEqual(
    asked.map(({ path }) => path),
    ['/orders/o/events'],
  );
});

test('without a stream an order is looked at until it is closed', async () => {
  const asked = answerWith([404, { code: 'not_found' }], [200, { id: 'o', status: 'CANCELLED' }]);
  assert.deepEqual(await follow(), ['CANCELLED']);
  assert.deepEqual(
    asked.map(({ path }) => path),
    ['/orders/o/events', '/orders/o'],
  );
});

test('a stream that broke is taken up where it was', async () => {
  const asked = answerWith([200, event(1, 'NEW')], undefined, [200, event(2, 'FINISHED')]);
  assert.deepEqual(await follow(), ['NEW', 'FINISHED']);
  assert.deepEqual(
    asked.map(({ path, lastEventId }) => [path, lastEventId]),
    [
      ['/orders/o/events', null],
      ['/orders/o', null],
      ['/orders/o/events', '1'],
    ],
  );
});

test('nothing more to come means to look once', async () => {
  answerWith([204], [200, { id: 'o', status: 'FINISHED' }]);
  assert.deepEqual(await follow(), ['FINISHED']);
});

test('pauses double up to ten seconds, and half of each is chance', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 9].map((attempt) => pauseAfter(attempt, 1)),
    [400, 800, 1600, 3200, 10_000],
  );
  assert.equal(pauseAfter(0, 0), 200);
});

test('a pause ends with the reason of its signal', async () => {
  const ender = new AbortController();
  const ended = pause(60_000, ender.signal);
  ender.abort(new Error('signed out'));
  await assert.rejects(ended, /signed out/u);
});

test('keys differ, and the next page is found in its link', () => {
  assert.notEqual(newKey(), newKey());
  assert.equal(nextPage('</orders?limit=2&cursor=x>; rel="next"'), '/orders?limit=2&cursor=x');
  assert.equal(nextPage(null), null);
});
