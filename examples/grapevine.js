'use strict'

// The class `Gossiper` of npm's `grapevine`, over groups of Grapes: a program needs to change its
// line `require('grapevine')` only. docs/gossip.md says what each part is here, and what differs.
//
//   grapevine.js      the class
//   grapevine/        grape.js: which Grape a Gossiper uses; api.js: its HTTP API;
//                     event_reader.js: its events; mirror.js: the other members;
//                     connection.js: keeps the mirror like the Grape; own_state.js: the own keys

const { EventEmitter } = require('node:events')
const { isIP, isIPv6 } = require('node:net')
const { setTimeout: pause } = require('node:timers/promises')
const { Api, Refused } = require('./grapevine/api')
const { Connection } = require('./grapevine/connection')
const { grapeFor } = require('./grapevine/grape')
const { Mirror } = require('./grapevine/mirror')
const { OwnState } = require('./grapevine/own_state')

// The group of Gossipers whose options name none.
const GROUP = 'grapevine'
// Milliseconds until the first further attempt to reach the Grape, and at most.
const FIRST_PAUSE = 100
const MAX_PAUSE = 5000
// Milliseconds between events `gossip` of a member.
const GOSSIP_EVERY = 1000

class Gossiper extends EventEmitter {
  #group
  #grape
  #mirror
  #own
  #generation
  #api
  #run
  #sending
  #stop = new AbortController()
  #heartbeats = new Map()
  #lastError

  constructor (options) {
    super()
    const given = typeof options === 'number' ? { port: options } : options ?? {}
    const { port, address = '127.0.0.1', seeds = [], group = GROUP } = given
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw new Error(`port is ${port}; expected a UDP port, as in new Gossiper({ port: 9000 })`)
    }
    if (!isIP(address)) throw new Error(`address is ${address}; expected an IP address`)
    if (given.secure || given.newServerAdapter || given.newSocketAdapter) {
      throw new Error('secure, newServerAdapter and newSocketAdapter: the Grape does the transport, ' +
        'over UDP and without TLS; expected none of them')
    }
    this.port = port
    this.address = address
    this.seeds = seeds
    this.peer_name = isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`
    this.started = false
    if (seeds.includes(this.peer_name)) {
      throw new Error(`seeds has ${this.peer_name}, which is this Gossiper; expected others`)
    }
    this.#group = group
    this.#grape = grapeFor({ address, port, seeds, group })
    const known = this.#grape.outlives ? [] : seeds
    this.#mirror = new Mirror(known, (...event) => this.#tell(...event))
    this.#own = new OwnState((...key) => this.#tell('expire', this.peer_name, ...key))
  }

  /// Joins the group. Calls `callback(undefined, this)` once the Grape is in it.
  start (callback) {
    if (callback) this.once('started', (gossiper) => callback(undefined, gossiper))
    const before = this.#run
    if (before && !this.#stop.signal.aborted) return
    this.#stop = new AbortController()
    this.#run = this.#stayConnected(before, this.#stop.signal)
  }

  /// Leaves the group, and calls `callback()` then. It can be started again.
  stop (callback = () => {}) {
    this.#stop.abort()
    this.#api?.close()
    Promise.resolve(this.#run).then(() => setImmediate(callback))
  }

  /// Sets an own key until `expires`, in milliseconds since 1970, or for ever. `null` unsets it.
  setLocalState (key, value, expires) {
    this.#own.set(String(key), value, expires)
    // A key that is set several times at once is sent once, as the original does.
    setImmediate(() => this.#send())
  }

  getLocalState (key) {
    return this.#own.value(String(key))
  }

  peerKeys (peer) {
    if (peer === this.peer_name) return this.#own.keys()
    return [...this.#peer(peer).values.keys()]
  }

  peerValue (peer, key) {
    if (!key) throw new Error('peerValue has no key; expected peerValue(peer, key)')
    if (peer === this.peer_name) return this.getLocalState(key)
    return this.#peer(peer).values.get(String(key))
  }

  allPeers () {
    return this.#mirror.names(() => true)
  }

  livePeers () {
    return this.#mirror.names(({ alive }) => alive)
  }

  deadPeers () {
    return this.#mirror.names(({ alive }) => !alive)
  }

  /// Emits an event once what runs has ended: what a listener throws is the program's matter, as in
  /// the original.
  #tell (...event) {
    process.nextTick(() => this.emit(...event))
  }

  #peer (name) {
    const peer = this.#mirror.peer(name)
    if (!peer) throw new Error(`there is no peer ${name}; expected one of allPeers()`)
    return peer
  }

  /// Follows the Grape until the Gossiper is stopped, and comes back to it when it was away.
  async #stayConnected (before, stop) {
    await before
    let wait = FIRST_PAUSE
    while (!stop.aborted) {
      try {
        const connection = new Connection(await this.#grape.url(stop), this.#group, this.#mirror)
        this.#api = connection.api
        if (!stop.aborted) await this.#follow(connection, () => { wait = FIRST_PAUSE })
      } catch (error) {
        if (!stop.aborted) this.#report(error)
      }
      this.#api?.close()
      this.#api = undefined
      await pause(wait, undefined, { signal: stop }).catch(() => {})
      wait = Math.min(2 * wait, MAX_PAUSE)
    }
    await this.#leave()
  }

  /// Follows the Grape. Fails when it does not answer any more.
  async #follow (connection, onConnected) {
    const { ended, generation } = await connection.open(this.#generation)
    this.#generation = generation
    this.peer_name = await connection.api.peerName() ?? this.peer_name
    this.#own.compare(await connection.api.ownState())
    this.#send()
    this.#lastError = undefined
    onConnected()
    if (!this.started) {
      this.started = true
      this.#tell('started', this)
    }
    const timer = setInterval(() => this.#tellGossip(connection.api), GOSSIP_EVERY)
    await ended.finally(() => clearInterval(timer))
  }

  /// Emits `gossip` for each member of which the Grape has heard since the last time. It costs a
  /// request, so it is done while somebody listens.
  async #tellGossip (api) {
    if (this.listenerCount('gossip') === 0) return
    const members = await api.peers().catch(() => [])
    const before = this.#heartbeats
    this.#heartbeats = new Map(members.map(({ address, heartbeat }) => [address, heartbeat]))
    for (const [name, heartbeat] of this.#heartbeats) {
      const peer = this.#mirror.peer(name)
      if (peer && before.has(name) && heartbeat !== before.get(name)) this.#tell('gossip', peer)
    }
  }

  async #leave () {
    // A Grape that goes on keeps the group; the keys are not its own.
    if (this.#grape.outlives && this.started) {
      const api = new Api(this.#grape.url(), this.#group)
      const unset = this.#own.keys().map((key) => api.unset(key))
      await Promise.allSettled(unset)
      api.close()
    }
    await this.#grape.stop()
    this.started = false
  }

  /// Sends the own keys that the Grape does not have yet, one after the other.
  async #send () {
    const api = this.#api
    if (!api || this.#sending === api) return
    this.#sending = api
    for (let next; (next = this.#own.takeUnsent()); ) {
      const { key, text, expires } = next
      try {
        await (text === undefined ? api.unset(key) : api.set(key, text, expires))
      } catch (error) {
        if (error instanceof Refused) {
          this.#report(new Error(`key ${key}: ${error.message}`))
          continue
        }
        // The Grape is away: all that it does not have is sent when it is back.
        this.#own.putBack(key)
        api.close(error)
        break
      }
    }
    if (this.#sending === api) this.#sending = undefined
  }

  /// Says what is wrong once, without ending a program that does not listen.
  #report (error) {
    if (error.message === this.#lastError) return
    this.#lastError = error.message
    if (this.listenerCount('error') > 0) this.#tell('error', error)
    else process.emitWarning(`${this.peer_name}: ${error.message}`, 'GossiperWarning')
  }
}

module.exports = { Gossiper }
