'use strict'

// Server-sent events, read from a text that comes in parts. No I/O.

// Most characters of an event: a value has 4 KiB, and six characters for a byte at most.
const MAX_EVENT = 64 << 10

class EventReader {
  #onEvent
  #rest = ''

  /// Calls `onEvent(name, data)` for each event.
  constructor (onEvent) {
    this.#onEvent = onEvent
  }

  push (text) {
    const events = (this.#rest + text).split('\n\n')
    this.#rest = events.pop()
    for (const event of events) this.#read(event)
    if (this.#rest.length > MAX_EVENT) throw new Error(`an event has over ${MAX_EVENT} characters`)
  }

  #read (event) {
    const fields = new Map()
    for (const line of event.split('\n')) {
      // A line that begins with a colon is a comment.
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? []
      if (name) fields.set(name, value)
    }
    if (fields.has('event')) this.#onEvent(fields.get('event'), JSON.parse(fields.get('data')))
  }
}

module.exports = { EventReader }
