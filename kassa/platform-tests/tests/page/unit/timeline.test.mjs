// A timeline in words.

import assert from 'node:assert/strict';
import test from 'node:test';

import { words } from '../../../../../gateway/web/assets/timeline.mjs';

test('a stage tells how long after the acceptance it was passed', () => {
  assert.equal(words({ stage: 'accepted', afterMs: 0 }), 'Accepted');
  assert.equal(words({ stage: 'published', afterMs: -0.4 }), 'Request published');
  assert.equal(words({ stage: 'closed', afterMs: 41.7 }), 'Closed after 42 ms');
  assert.equal(words({ stage: 'decided', afterMs: 61_500 }), 'Decided, in the same commit after 1 min');
});

test('a stage that a later version adds is shown as it is', () => {
  assert.equal(words({ stage: 'refunded', afterMs: 5 }), 'refunded after 5 ms');
});
