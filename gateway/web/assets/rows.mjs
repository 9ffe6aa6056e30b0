// Lists that are read page by page, newest first, while new rows arrive at their top.

import { isOpen } from './words.mjs';

/** Lists that have not been read. Orders are sorted by id, a UUIDv7; the ledger stays as the service sorts it. */
export const NO_ORDERS = Object.freeze({ rows: [], next: null, isRead: false, isSorted: true });
export const NO_LEDGER = Object.freeze({ rows: [], next: null, isRead: false, isSorted: false });

/** The first page, read again: its rows come first, and older pages that are known stay. */
export function withFirstPage(list, page, next) {
  const known = new Set(list.rows.map(({ id }) => id));
  const hasGap = next && list.rows.length > 0 && !page.some(({ id }) => known.has(id));
  // With a gap, rows between this page and the known ones are missing: what is older is read again on demand.
  if (hasGap || !list.isRead) return { ...list, rows: merge(list, page, page), next, isRead: true };
  const hasMore = list.rows.length > page.length;
  return { ...list, rows: merge(list, page, [...page, ...list.rows]), next: hasMore ? list.next : next };
}

/** An older page, at the end. */
export function withOlderPage(list, page, next) {
  return { ...list, rows: merge(list, page, [...list.rows, ...page]), next };
}

/** One row, new or changed. */
export function withRow(list, row) {
  return { ...list, rows: merge(list, [row], [row, ...list.rows]) };
}

/** `kept`, each row once and in its newest state. */
function merge(list, incoming, kept) {
  const newest = new Map(list.rows.map((row) => [row.id, row]));
  for (const row of incoming) {
    if (!isStale(row, newest.get(row.id))) newest.set(row.id, row);
  }
  const ids = [...new Set(kept.map(({ id }) => id))];
  if (list.isSorted) ids.sort().reverse();
  return ids.map((id) => newest.get(id));
}

/** An order never goes back: a replayed answer shows it as it was first. */
function isStale(row, known) {
  return known !== undefined && row.status !== undefined && isOpen(row) && !isOpen(known);
}
