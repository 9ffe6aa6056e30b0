// Follows one order until it is closed: over its event stream, and by looking each second while there is none.

import { call } from './api.mjs';
import { pause, pauseAfter } from './backoff.mjs';
import { eventsOf } from './event-stream.mjs';
import { NoAnswer, Problem } from './problem.mjs';
import { takeSlot } from './slots.mjs';
import { isOpen } from './words.mjs';

/** The stream sends a heartbeat every 15 s at the latest; after this much silence the line is dead. */
const SILENCE_MS = 40_000;
const LOOK_EVERY_MS = 1_000;

/**
 * Calls `onOrder` with each state of the order, and returns once it is closed.
 * Ends with the signal's reason when it is aborted.
 */
export async function followOrder(id, { user, signal, onOrder }) {
  const release = await takeSlot(signal);
  try {
    const cursor = { lastEventId: undefined };
    for (let failures = 0; ; failures += 1) {
      const before = cursor.lastEventId;
      if (await isClosedByStream(id, { user, signal, onOrder, cursor })) return;
      // A stream that said something new was a good one.
      if (cursor.lastEventId !== before) failures = 0;
      if (await isClosedByLooking(id, { user, signal, onOrder }, pauseAfter(failures))) return;
    }
  } finally {
    release();
  }
}

async function isClosedByStream(id, { user, signal, onOrder, cursor }) {
  try {
    for await (const event of stream(id, { user, signal, cursor })) {
      const order = JSON.parse(event.data);
      cursor.lastEventId = event.id;
      onOrder(order);
      if (!isOpen(order)) return true;
    }
    return false;
  } catch {
    if (signal.aborted) throw signal.reason;
    return false;
  }
}

/** Looks at least once, and for `ms` at the most; then the stream has its next chance. */
async function isClosedByLooking(id, { user, signal, onOrder }, ms) {
  const until = Date.now() + ms;
  do {
    try {
      const { data: order } = await call(`/orders/${id}`, { user, signal });
      onOrder(order);
      if (!isOpen(order)) return true;
    } catch {
      if (signal.aborted) throw signal.reason;
    }
    await pause(LOOK_EVERY_MS, signal);
  } while (Date.now() < until);
  return false;
}

async function* stream(id, { user, signal, cursor }) {
  const ender = new AbortController();
  const end = () => ender.abort();
  let watchdog = setTimeout(end, SILENCE_MS);
  const isAlive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(end, SILENCE_MS);
  };
  signal.addEventListener('abort', end);
  if (signal.aborted) end();
  try {
    const headers = new Headers({ Accept: 'text/event-stream', 'X-User-Id': user });
    if (cursor.lastEventId) headers.set('Last-Event-ID', cursor.lastEventId);
    const options = { headers, signal: ender.signal, cache: 'no-store', credentials: 'omit' };
    const response = await fetch(`/orders/${id}/events`, options);
    isAlive();
    // 204: there was nothing more to come; a look at the order tells how it ended.
    if (response.status === 204) return;
    if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
    yield* eventsOf(response.body, isAlive);
  } catch (cause) {
    throw cause instanceof Problem ? cause : new NoAnswer(cause);
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener('abort', end);
  }
}
