// Pauses between attempts: they double, they are spread, and coming back online ends them.

const FIRST_MS = 400;
const LONGEST_MS = 10_000;

/** How long to wait after the attempt with this number, from 0; half of it is chance: tabs do not march in step. */
export function pauseAfter(attempt, chance = Math.random()) {
  const full = Math.min(FIRST_MS * 2 ** attempt, LONGEST_MS);
  return Math.round(full / 2 + (full / 2) * chance);
}

/** Waits; ends early when the network comes back, and with the signal's reason when it is aborted. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      globalThis.removeEventListener?.('online', end);
      signal?.removeEventListener('abort', end);
      if (signal?.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(end, ms);
    globalThis.addEventListener?.('online', end);
    signal?.addEventListener('abort', end);
    if (signal?.aborted) end();
  });
}
