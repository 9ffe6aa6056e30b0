// How bytes become events, whatever pieces they arrive in.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EventParser, eventsOf } from '../../../../../gateway/web/assets/event-stream.mjs';

const TWO =
  'id: 1\nevent: status\ndata: {"status":"NEW"}\n\n: still here\n\nid: 2\nevent: status\ndata: {"status":"FINISHED"}\n\n';
const EXPECTED = [
  { id: '1', event: 'status', data: '{"status":"NEW"}' },
  { comment: 'still here' },
  { id: '2', event: 'status', data: '{"status":"FINISHED"}' },
];

function parse(...pieces) {
  const parser = new EventParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

test('events and heartbeats are told apart', () => {
  assert.deepEqual(parse(TWO), EXPECTED);
});

test('it does not matter where the pieces are cut', () => {
  for (let at = 0; at <= TWO.length; at += 1) {
    assert.deepEqual(parse(TWO.slice(0, at), TWO.slice(at)), EXPECTED, `cut at ${at}`);
  }
  assert.deepEqual(parse(...TWO), EXPECTED);
});

test('lines end with LF, CR LF or CR, and a CR LF may be cut in two', () => {
  for (const end of ['\r\n', '\r']) {
    assert.deepEqual(parse(...TWO.replaceAll('\n', end), '\n'), EXPECTED, JSON.stringify(end));
  }
});

test('several lines of data are one text, and one space after a colon belongs to nobody', () => {
  assert.deepEqual(parse('data: a\ndata:b\ndata:  c\ndata\n\n'), [
    { id: undefined, event: 'message', data: 'a\nb\n c\n' },
  ]);
});

test('what has no data, and what the end cuts off, is no event', () => {
  assert.deepEqual(parse('event: status\nid: 7\n\n', 'data: half'), []);
});

test('an id holds until the next one, and a byte order mark is skipped', () => {
  const events = parse('\ufeffid: 1\ndata: a\n\n', 'data: b\n\n');
  assert.deepEqual(
    events.map(({ id, data }) => [id, data]),
    [
      ['1', 'a'],
      ['1', 'b'],
    ],
  );
});

test('a body is read to its end, a letter of several bytes across pieces too', async () => {
  const bytes = new TextEncoder().encode('data: zwölf Äpfel\n\n: hm\n\n');
  const body = new ReadableStream({
    start(stream) {
      for (const byte of bytes) stream.enqueue(new Uint8Array([byte]));
      stream.close();
    },
  });
  let signs = 0;
  const events = [];
  for await (const event of eventsOf(body, () => (signs += 1))) events.push(event.data);
  assert.deepEqual(events, ['zwölf Äpfel']);
  assert.equal(signs, bytes.length);
});

test('whoever stops listening hangs up', async () => {
  let isCancelled = false;
  const body = new ReadableStream({
    start: (stream) => stream.enqueue(new TextEncoder().encode('data: a\n\n')),
    cancel: () => (isCancelled = true),
  });
  for await (const event of eventsOf(body)) {
    assert.equal(event.data, 'a');
    break;
  }
  assert.ok(isCancelled);
});
