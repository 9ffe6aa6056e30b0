// Puts the page together: who is signed in decides what is seen; forms send, the sync reads, the views draw.

import { byId, setText } from './dom.mjs';
import { watchHealth } from './health.mjs';
import { fromTyped, show } from './money.mjs';
import { SendingForm } from './sending-form.mjs';
import { keepUser, keptUser, objection, onOtherTab } from './session.mjs';
import { Store } from './store.mjs';
import { Sync } from './sync.mjs';
import { showTimelines } from './timeline.mjs';
import { drawAccount, drawConnection, drawLedger, drawOrders, drawServices } from './views.mjs';
import { stagesOf } from './words.mjs';

const store = new Store();
const sync = new Sync(store);

const forms = [
  new SendingForm(byId('open-account'), {
    path: '/accounts',
    read: () => null,
    onDone: (account) => {
      sync.changed({ account });
      // The button that had the focus goes.
      draw();
      byId('top-up-amount').focus();
      return '';
    },
  }),
  new SendingForm(byId('top-up'), {
    path: '/accounts/topup',
    read: (form) => ({ amount: fromTyped(form.elements.amount.value) }),
    onDone: (account, { amount }) => {
      sync.changed({ account });
      return `Topped up by ${show(amount)}.`;
    },
    onRefused,
  }),
  new SendingForm(byId('place-order'), {
    path: '/orders',
    read: (form) => {
      const description = form.elements.description.value.trim();
      return { amount: fromTyped(form.elements.amount.value), ...(description && { description }) };
    },
    onDone: (order) => {
      sync.changed({ order });
      // On a telephone the list is further down.
      requestAnimationFrame(() => byId('orders').firstElementChild?.scrollIntoView({ block: 'nearest' }));
      return 'The order is accepted.';
    },
    onRefused,
  }),
];

function onRefused({ code }) {
  if (code === 'account_not_found') sync.refresh();
}

/** Shows what belongs to this user; null: the way in. The focus goes where the person goes on. */
function enter(user, { hasAsked = false } = {}) {
  sync.start(user);
  byId('welcome').hidden = user !== null;
  byId('desk').hidden = byId('sign-out').hidden = user === null;
  document.title = user ? `${user} · Kassa` : 'Kassa';
  for (const form of forms) form.start(user, sync.signal);
  draw();
  if (hasAsked) byId(user ? 'account-title' : 'name').focus();
}

byId('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  const field = byId('name');
  const name = field.value.trim();
  const wrong = objection(name);
  markName(wrong);
  if (wrong) {
    field.focus();
    return;
  }
  field.value = '';
  keepUser(name);
  enter(name, { hasAsked: true });
});

function markName(wrong) {
  const note = byId('name-note');
  byId('name').toggleAttribute('aria-invalid', false);
  if (wrong) byId('name').setAttribute('aria-invalid', 'true');
  note.classList.toggle('is-error', Boolean(wrong));
  setText(note, wrong || note.dataset.help);
}

byId('name').addEventListener('input', () => markName(''));
byId('sign-out').addEventListener('submit', (event) => {
  event.preventDefault();
  keepUser(null);
  enter(null, { hasAsked: true });
});
onOtherTab((user) => {
  if (user !== store.state.user) enter(user);
});

for (const [id, part] of [
  ['older-orders', 'orders'],
  ['older-lines', 'ledger'],
]) {
  byId(id).addEventListener('click', async () => {
    const known = store.state[part].rows.length;
    const count = await sync.showOlder(part);
    draw();
    if (count > 0) byId(part).children[known]?.focus();
  });
}

function draw() {
  drawServices(store.state);
  drawConnection(store.state);
  drawAccount(store.state);
  drawOrders(store.state);
  drawLedger(store.state);
}

showTimelines(byId('orders'), () => store.state.user);
store.addEventListener('change', draw);
store.addEventListener('closed', ({ detail: order }) => {
  const { note } = stagesOf(order);
  setText(byId('announcer'), `${order.description || 'Your order'} over ${show(order.amount)}: ${note}`);
});
for (const event of ['online', 'offline']) addEventListener(event, draw);

// Where users come with tokens, a name opens nothing.
if (document.documentElement.dataset.auth === 'demo') enter(keptUser());
else byId('tokens').hidden = false;
watchHealth(store);
