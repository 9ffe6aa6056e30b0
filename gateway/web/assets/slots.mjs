// The right to watch an order closely. A browser opens six connections to one host and no more, for all tabs together:
// streams on all of them would leave none for anything else.

import { pause } from './backoff.mjs';

const FOR_ALL_TABS = 4;
/** Where tabs cannot ask each other: locks are there only over HTTPS and on this machine. */
const FOR_THIS_TAB = 2;

let taken = 0;

/** Waits for a slot; resolves with the function that gives it back. */
export async function takeSlot(signal) {
  for (;;) {
    const release = globalThis.navigator?.locks ? await anyLock() : ownSlot();
    if (release && !signal.aborted) return release;
    release?.();
    await pause(500, signal);
  }
}

function ownSlot() {
  if (taken >= FOR_THIS_TAB) return null;
  taken += 1;
  return () => (taken -= 1);
}

async function anyLock() {
  for (let number = 0; number < FOR_ALL_TABS; number += 1) {
    const release = await lock(`kassa-watch-${number}`);
    if (release) return release;
  }
  return null;
}

/** A lock is held as long as the promise in its callback is open. */
function lock(name) {
  return new Promise((resolve, reject) => {
    const hold = (lock) => (lock ? new Promise((release) => resolve(release)) : resolve(null));
    navigator.locks.request(name, { ifAvailable: true }, hold).catch(reject);
  });
}
