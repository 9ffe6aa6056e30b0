// Server-sent events from a fetch: EventSource cannot send the header that says who asks.
//
// bytes → text → lines → events {id, event, data}. A heartbeat is an event that carries nothing: {comment}.

/** Takes text in pieces of any size and returns the events that each piece completes. */
export class EventParser {
  #rest = '';
  #fields = { id: undefined, event: 'message', data: [] };
  #lastId;
  #isFirst = true;

  push(text) {
    const events = [];
    this.#rest += this.#isFirst ? text.replace(/^\ufeff/u, '') : text;
    if (text) this.#isFirst = false;
    // A line ends with CR LF, LF or CR; a CR at the very end may still get its LF.
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/u);
    this.#rest = lines.pop();
    for (const line of lines) {
      const event = this.#line(line);
      if (event) events.push(event);
    }
    return events;
  }

  #line(line) {
    if (line === '') return this.#dispatch();
    if (line.startsWith(':')) return { comment: line.slice(1).trim() };
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /u, '');
    if (name === 'data') this.#fields.data.push(value);
    else if (name === 'event') this.#fields.event = value;
    else if (name === 'id' && !value.includes('\0')) this.#lastId = value;
    return undefined;
  }

  #dispatch() {
    const { event, data } = this.#fields;
    this.#fields = { event: 'message', data: [] };
    // Without data it is no event; what is left of one at the end of the stream is none either.
    return data.length > 0 ? { id: this.#lastId, event, data: data.join('\n') } : undefined;
  }
}

/** The events of a response's body, until it ends. `onBytes` is told of every sign of life. */
export async function* eventsOf(body, onBytes = () => {}) {
  const parser = new EventParser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      onBytes();
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        if (event.data !== undefined) yield event;
      }
    }
  } finally {
    // Whoever stops listening also hangs up; a stream that broke has nothing to cancel.
    await reader.cancel().catch(() => {});
  }
}
