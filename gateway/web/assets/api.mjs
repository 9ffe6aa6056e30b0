// Calls of the REST API: who asks, under which key, and problems as exceptions.

import { pause, pauseAfter } from './backoff.mjs';
import { NoAnswer, Problem } from './problem.mjs';

/** Longer than the gateway itself waits for a service. */
const TIMEOUT_MS = 40_000;

let tellReach = () => {};

/** `callback(isReached)` after each call: whether the gateway has answered. */
export function onReach(callback) {
  tellReach = callback;
}

/**
 * One call: its status, its JSON, and where the next page of a list is.
 * Throws a Problem if it is refused, NoAnswer if nothing comes back.
 */
export async function call(path, { user, method = 'GET', body, key, signal } = {}) {
  const headers = new Headers({ Accept: 'application/json' });
  if (user) headers.set('X-User-Id', user);
  if (key) headers.set('Idempotency-Key', key);
  if (body) headers.set('Content-Type', 'application/json');
  const options = { method, headers, body: body && JSON.stringify(body) };
  const { response, data } = await exchange(path, options, { signal });
  if (!response.ok) throw new Problem(response.status, data ?? {}, response.headers.get('Retry-After'));
  // A network that wants a sign-in first answers for everybody.
  if (!data) throw new NoAnswer(new TypeError(`an answer ${response.status} without JSON is none of the gateway's`));
  return { status: response.status, data, next: nextPage(response.headers.get('Link')) };
}

/** A POST under one key until it is answered: a lost answer is asked for again, and nothing is done twice. */
export async function post(path, { user, body, key, signal, onWait = () => {} }) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call(path, { user, method: 'POST', body, key, signal });
    } catch (error) {
      if (signal?.aborted || !error.isTemporary) throw error;
      onWait(error, attempt);
      await pause(Math.max(pauseAfter(attempt), error.retryAfterMs ?? 0), signal);
    }
  }
}

/** A fetch, read to its end: a response with its JSON (none: null) whatever its status, NoAnswer, or the reason of `signal`. */
export async function exchange(path, options, { signal, timeoutMs = TIMEOUT_MS } = {}) {
  const ender = new AbortController();
  const end = () => ender.abort();
  const timer = setTimeout(end, timeoutMs);
  signal?.addEventListener('abort', end);
  if (signal?.aborted) end();
  try {
    const response = await fetch(path, { ...options, signal: ender.signal, cache: 'no-store', credentials: 'omit' });
    const isJson = (response.headers.get('Content-Type') ?? '').includes('json');
    const text = await response.text();
    const data = isJson && text ? JSON.parse(text) : null;
    tellReach(true);
    return { response, data };
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    tellReach(false);
    throw new NoAnswer(cause);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
}

/** `</orders?limit=20&cursor=…>; rel="next"` → the path in it. */
export function nextPage(link) {
  return /<([^>]*)>\s*;\s*rel="next"/u.exec(link ?? '')?.[1] ?? null;
}

/** A new key. Pages that do not come over HTTPS or from this machine have no `randomUUID`. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
