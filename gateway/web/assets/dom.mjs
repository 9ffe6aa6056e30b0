// Small helpers over the DOM: lists that follow their data, and rows that slide instead of jumping.

export const byId = (id) => document.getElementById(id);

/** Writes a text only if it differs: screen readers speak what is written, and layout is not touched for nothing. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A new row of a template. */
export function fromTemplate(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

/**
 * Makes a list's children follow `rows`, each known by its id: new ones are made and slid in, gone ones removed,
 * the others kept where the focus may be.
 */
export function showRows(list, rows, make, fill) {
  const known = new Map([...list.children].map((node) => [node.dataset.id, node]));
  const isFirst = known.size === 0;
  const before = isFirst ? null : places(list);
  let place = list.firstElementChild;
  for (const row of rows) {
    let node = known.get(row.id);
    known.delete(row.id);
    if (!node) {
      node = make();
      node.dataset.id = row.id;
    }
    if (node === place) place = place.nextElementSibling;
    else list.insertBefore(node, place);
    fill(node, row);
  }
  for (const node of known.values()) node.remove();
  if (before) slide(list, before);
}

/** What moves when a list grows: its rows, and what stands below it. */
function movable(list) {
  const scope = list.closest('table') ?? list;
  const below = [];
  for (let node = scope.nextElementSibling; node; node = node.nextElementSibling) below.push(node);
  return [...list.children, ...below];
}

function places(list) {
  return new Map(movable(list).map((node) => [node, node.getBoundingClientRect().top]));
}

/** From where each row was to where it is now; new rows fade in. */
function slide(list, before) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  const options = { duration: 260, easing: 'cubic-bezier(0.2, 0, 0, 1)' };
  for (const node of movable(list)) {
    const top = node.getBoundingClientRect().top;
    const moved = before.has(node) ? before.get(node) - top : 0;
    if (top > innerHeight && top + moved > innerHeight) continue;
    if (!before.has(node)) node.animate([{ opacity: 0 }, { opacity: 1 }], options);
    else if (moved) node.animate([{ transform: `translateY(${moved}px)` }, { transform: 'none' }], options);
  }
}
