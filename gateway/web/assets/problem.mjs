// Why a call has failed, in words for people: the service's own (problem+json), or ours when there is no answer.

/** The request was answered, and refused. */
export class Problem extends Error {
  constructor(status, document = {}, retryAfter = null) {
    super(sentence(document.detail || document.title || `The service answered ${status}.`));
    this.name = 'Problem';
    this.status = status;
    this.code = document.code ?? '';
    this.requestId = document.requestId ?? '';
    this.retryAfterMs = /^\d+$/u.test(retryAfter ?? '') ? Number(retryAfter) * 1000 : 0;
    // `/amount` → `amount`, with the sentence that belongs there.
    const errors = Array.isArray(document.errors) ? document.errors : [];
    this.fields = new Map(errors.map(({ pointer, detail }) => [String(pointer).slice(1), sentence(detail)]));
  }

  /** Whether the same request may be answered differently in a moment. After any 5xx it may have been done, whoever said so. */
  get isTemporary() {
    return this.status === 429 || this.status >= 500 || this.code === 'idempotency_in_progress';
  }
}

/** The request was not answered at all, so nobody knows whether it has arrived. */
export class NoAnswer extends Error {
  constructor(cause) {
    super('There is no answer from the gateway.', { cause });
    this.name = 'NoAnswer';
  }

  get isTemporary() {
    return true;
  }
}

/** With a capital letter and a full stop, as a sentence on a page has them. */
export function sentence(text = '') {
  const trimmed = String(text).trim();
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/u.test(capital) || !capital ? capital : `${capital}.`;
}
