'use strict'

// The own keys of a Gossiper, and which of them the Grape does not have yet.

// Timers wait 24 days at most.
const MAX_WAIT = 2 ** 31 - 1
// A key that expires later than this expires never: a year has four digits.
const NEVER = Date.UTC(9999)

class OwnState {
  #entries = new Map()
  #unsent = new Set()
  #onExpire
  #timer

  /// Calls `onExpire(key, value, expires)` when a key expires.
  constructor (onExpire) {
    this.#onExpire = onExpire
  }

  set (key, value, expires) {
    // Throws for what is not JSON, such as a BigInt.
    const text = JSON.stringify(value) ?? 'null'
    const ends = typeof expires === 'number' && expires < NEVER
    this.#entries.set(key, { value, text, expires: ends ? expires : undefined })
    this.#unsent.add(key)
    this.#expireLater()
  }

  value (key) {
    return this.#entries.get(key)?.value
  }

  keys () {
    return [...this.#entries.keys()]
  }

  /// A key that the Grape is to be told, with its text; without a text it is to be unset.
  takeUnsent () {
    for (const key of this.#unsent) {
      this.#unsent.delete(key)
      const { text, expires } = this.#entries.get(key) ?? {}
      return { key, text: text === 'null' ? undefined : text, expires }
    }
  }

  /// The Grape may not have taken a key.
  putBack (key) {
    this.#unsent.add(key)
  }

  /// Compares with what the Grape has: the rest is unsent.
  compare (state) {
    for (const [key, { text }] of this.#entries) {
      const has = Object.hasOwn(state, key) ? JSON.stringify(state[key]) : 'null'
      if (has !== text) this.#unsent.add(key)
    }
  }

  #expireLater () {
    clearTimeout(this.#timer)
    const times = [...this.#entries.values()].map(({ expires }) => expires ?? Infinity)
    const next = Math.min(...times)
    if (next === Infinity) return
    const wait = Math.min(Math.max(next - Date.now(), 0), MAX_WAIT)
    this.#timer = setTimeout(() => this.#expire(), wait)
    // A key that expires keeps no program alive.
    this.#timer.unref()
  }

  #expire () {
    const now = Date.now()
    for (const [key, { value, expires }] of this.#entries) {
      if (expires <= now) {
        this.#entries.delete(key)
        this.#onExpire(key, value, expires)
      }
    }
    this.#expireLater()
  }
}

module.exports = { OwnState }
