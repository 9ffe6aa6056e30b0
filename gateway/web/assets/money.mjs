// Money as people write it and read it. Amounts stay decimal strings: no arithmetic is done on them here.

const THIN_SPACE = '\u202f';
const MINUS = '\u2212';

/**
 * What a person typed, as the API wants it: no spaces around or between the digits, and a point before the decimals.
 * Many telephones offer a comma only. Whether the result is an amount is for the service to say.
 */
export function fromTyped(text) {
  const bare = text.trim().replace(/(?<=\d)[\s\u00a0\u202f'](?=\d{3}(?!\d))/gu, '');
  return bare.replace(/^(\d+),(\d{1,2})$/u, '$1.$2');
}

/** `1234567.5` → `1 234 567.50`, with a real minus sign. What is no amount is shown as it came. */
export function show(amount) {
  const parts = /^(-?)(\d+)(?:\.(\d{1,2}))?$/u.exec(amount ?? '');
  if (!parts) return String(amount ?? '');
  const [, sign, whole, decimals = ''] = parts;
  const grouped = whole.replace(/\B(?=(?:\d{3})+$)/gu, THIN_SPACE);
  return `${sign && MINUS}${grouped}.${decimals.padEnd(2, '0')}`;
}

/** A change of a balance, with its sign whichever it is. */
export function showChange(amount) {
  const shown = show(amount);
  return shown.startsWith(MINUS) ? shown : `+${shown}`;
}
