// Who is signed in: a name that nobody checks, kept in this browser and shared by its tabs.

const PLACE = 'kassa.user';

/** Why a name cannot be one, or an empty text. It travels in a header, so the rule is the header's. */
export function objection(name) {
  if (name === '') return 'Type a name first.';
  if (/\s/u.test(name)) return 'Leave the spaces out.';
  if (!/^[!-~]+$/u.test(name)) return 'Use plain letters, digits and signs, such as alice or bob@example.com.';
  return name.length > 255 ? 'That is longer than 255 characters.' : '';
}

/** The name that is kept, or null. A browser may forbid to keep anything; then a reload asks again. */
export function keptUser() {
  try {
    const name = localStorage.getItem(PLACE);
    return name && !objection(name) ? name : null;
  } catch {
    return null;
  }
}

export function keepUser(name) {
  try {
    if (name) localStorage.setItem(PLACE, name);
    else localStorage.removeItem(PLACE);
  } catch {
    // See above.
  }
}

/** Calls back when another tab signs in or out. */
export function onOtherTab(callback) {
  addEventListener('storage', ({ key }) => {
    if (key === PLACE || key === null) callback(keptUser());
  });
}
