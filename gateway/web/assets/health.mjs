// How the platform is: the gateway's own word about each service, asked again and again while somebody looks.

import { exchange, onReach } from './api.mjs';
import { pause } from './backoff.mjs';

const EVERY_MS = { well: 5_000, ill: 1_500 };
/** The gateway has not looked at a service for so long: what it said of it is old. */
const OLD_SECONDS = 15;

/** Watches until the page is closed; writes `health` (state by part) and `isReached` into the store. */
export async function watchHealth(store) {
  onReach((isReached) => {
    if (store.state.isReached !== isReached) store.update({ isReached });
  });
  for (;;) {
    if (!document.hidden) store.update({ health: await look() });
    const isWell = [...(store.state.health?.values() ?? [])].every((state) => state === 'up');
    await pause(isWell ? EVERY_MS.well : EVERY_MS.ill);
  }
}

async function look() {
  try {
    const { data } = await exchange('/health/ready', {}, { timeoutMs: 4_000 });
    return healthOf(data);
  } catch {
    return new Map([['gateway', 'down']]);
  }
}

/** `/health/ready` → part → `up`, `down`, `stopping` or `unknown`. It answers 503 with the same document. */
export function healthOf({ status, parts = [] }) {
  const health = new Map([['gateway', status === 'stopping' ? 'stopping' : 'up']]);
  for (const part of parts) {
    health.set(part.name, part.checkedSecondsAgo > OLD_SECONDS ? 'unknown' : part.status);
  }
  return health;
}
