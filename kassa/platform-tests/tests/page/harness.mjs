// What every script shares: a browser, people in front of it, and what must be true of every page whatever it shows.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** `gateway`: its URL; `chromium`: the program; `modules`: what npm has fetched; `output`: where files may go. */
export const told = JSON.parse(process.argv[2]);

const modules = createRequire(`${told.modules}/`);
const { chromium } = modules('playwright-core');
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--font-render-hinting=none',
];
const LIMIT_MS = 150_000;
/** Time enough for anything that is going to happen at all. */
export const SOON = 30_000;

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the other side to `stop` or `start` a process of the platform, and waits until it is done. */
export async function platform(verb, process) {
  console.log(`${verb} ${process}`);
  assert.equal((await answers.next()).value, 'ok');
}

/** Runs a story, and then holds every page that it opened to the rules. */
export async function run(story) {
  setTimeout(() => fail(new Error(`not done after ${LIMIT_MS} ms`)), LIMIT_MS).unref();
  const browser = await chromium.launch({ executablePath: told.chromium, args: FLAGS });
  const people = [];
  try {
    await story({ open: (options) => open(browser, people, options) });
    for (const person of people) await person.check();
  } catch (error) {
    fail(error);
  } finally {
    await browser.close();
  }
  process.exit();
}

function fail(error) {
  console.error(error);
  process.exitCode = 1;
  process.exit();
}

/** A name that nobody else has. */
export function someone(name) {
  return `${name}-${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
}

/**
 * A page, watched from its first byte on. `context` shares one person's browser between several tabs.
 * `isPlainHttp`: as on a telephone in the same network, where a browser offers less than on the machine itself.
 */
async function open(browser, people, { context, isPlainHttp = false, ...options } = {}) {
  const of = context ?? (await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options }));
  const page = await of.newPage();
  page.setDefaultTimeout(SOON);
  const faults = [];
  const expected = [];
  page.on('pageerror', (error) => faults.push(`error: ${error.stack}`));
  page.on('console', (message) => {
    const { url } = message.location();
    const isExpected = expected.some((pattern) => pattern.test(`${message.text()} ${url}`));
    if (['error', 'warning'].includes(message.type()) && !isExpected) faults.push(`console: ${message.text()} ${url}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(`${told.gateway}/`)) faults.push(`another host: ${request.url()}`);
  });
  await page.addInitScript(watch);
  if (isPlainHttp) await page.addInitScript(takeAway);
  await page.goto(told.gateway);
  const person = {
    page,
    context: of,
    /** A failed request is an error on the console; this one is part of the story. */
    expects: (pattern) => expected.push(pattern),
    check: async () => {
      assert.deepEqual(faults, []);
      if (page.isClosed()) return;
      const { violations, shift, shifts } = await page.evaluate(() => globalThis.watched);
      assert.deepEqual(violations, []);
      assert.ok(shift < 0.01, `the layout has jumped by ${shift}: ${shifts.join(' · ')}`);
    },
  };
  // Whoever has no account yet is answered 404 when the page asks for it.
  person.expects(/status of 404 .*\/accounts\/balance$/u);
  people.push(person);
  return person;
}

/** Runs in the page, before anything of its own: what breaks its rules, and what moves without being asked to. */
function watch() {
  const watched = (globalThis.watched = { violations: [], shift: 0, shifts: [] });
  addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
    watched.violations.push(`${violatedDirective} ${blockedURI}`);
  });
  const onShifts = (list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      if (hadRecentInput) continue;
      watched.shift += value;
      const names = sources.map(({ node }) => node?.id || node?.className || node?.nodeName);
      watched.shifts.push(`${value.toFixed(4)} ${names.join(', ')}`);
    }
  };
  new PerformanceObserver(onShifts).observe({ type: 'layout-shift', buffered: true });
}

/** Runs in the page: what only a secure context has. */
function takeAway() {
  delete Crypto.prototype.randomUUID;
  delete Navigator.prototype.locks;
}

/** Waits until something is true of the page, or says what is there instead. */
export async function eventually(what, look, expected) {
  const until = Date.now() + SOON;
  for (;;) {
    const seen = await look().catch((error) => String(error));
    const isIt = expected instanceof RegExp ? expected.test(seen) : seen === expected;
    if (isIt) return;
    if (Date.now() > until) assert.fail(`${what}: expected ${expected}, not ${seen}`);
    await sleep(50);
  }
}

/** What axe finds serious or critical, each with the place. */
export async function findings(page) {
  await page.evaluate(readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8'));
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const grave = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  return grave.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target}: ${failureSummary}`),
  );
}
