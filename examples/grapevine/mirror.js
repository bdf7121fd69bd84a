'use strict'

// What a Grape knows of the other members of a group, kept beside it so that it can be read without
// waiting. Events keep it up to date; after a gap a snapshot corrects it. No I/O.

// Most members, as in a Grape. Dead ones make room for new ones.
const MAX_PEERS = 1000
// Numbers in addresses are compared as numbers.
const { compare } = new Intl.Collator('en', { numeric: true })

/// Another member of the group.
class Peer {
  generation
  alive = true
  values = new Map()

  constructor (name) {
    const [, address, port] = /^\[?(.*?)\]?:(\d+)$/.exec(name) ?? [undefined, name, NaN]
    this.name = name
    this.address = address
    this.port = Number(port)
  }

  toString () {
    return this.name
  }
}

class Mirror {
  #peers = new Map()
  #tell
  // What events have changed since a snapshot was begun: they are newer than the snapshot.
  #changed = new Set()
  // Whether an event may tell again what is known: a Grape that has just started hears of each key
  // for the first time, and so does a snapshot that overtakes an event.
  #repeats = true

  /// Calls `tell(event, …)` for each change, with the events of a `Gossiper`.
  constructor (seeds, tell) {
    for (const seed of seeds) this.#peers.set(seed, new Peer(seed))
    this.#tell = tell
  }

  peer (name) {
    return this.#peers.get(name)
  }

  /// The names of all members for which `wanted(peer)` holds, in the order of their addresses.
  names (wanted) {
    const names = [...this.#peers.values()].filter(wanted).map(({ name }) => name)
    return names.sort(compare)
  }

  /// Takes in an event of the Grape.
  apply (event, { peer: name, generation, key, value }) {
    switch (event) {
      case 'new_peer':
      case 'peer_alive':
        // The keys of a new generation come by events, too.
        if (this.#peers.get(name)?.generation !== generation) this.#changed.add(`${name} state`)
        this.#changed.add(name)
        return this.#appeared(name, generation)
      case 'peer_failed':
        this.#changed.add(name)
        return this.#failed(this.#peers.get(name))
      case 'update':
        this.#changed.add(`${name} key ${key}`)
        return this.#updated(this.#peers.get(name), key, value)
      case 'expire':
        this.#changed.add(`${name} key ${key}`)
        return this.#expired(this.#peers.get(name), key)
    }
  }

  /// From here on events are newer than the next snapshot.
  beginSnapshot () {
    this.#changed.clear()
    this.#repeats = true
  }

  /// Takes in all members with their keys. A member that is missing has failed, and a key that is
  /// missing has expired, unless the Grape has just started and still `finds` members and keys.
  endSnapshot (members, finds) {
    for (const member of members) this.#correct(member, finds)
    this.#repeats = finds
    if (finds) return
    const present = new Set(members.map(({ address }) => address))
    for (const peer of this.#peers.values()) {
      if (!present.has(peer.name) && !this.#changed.has(peer.name)) this.#failed(peer)
    }
  }

  #correct ({ address: name, generation, state, values }, finds) {
    if (!this.#changed.has(name)) {
      this.#appeared(name, generation, state === 'live')
    }
    const peer = this.#peers.get(name)
    if (!peer || this.#changed.has(`${name} state`)) return
    const untouched = (key) => !this.#changed.has(`${name} key ${key}`)
    for (const key of peer.values.keys()) {
      const missing = !finds && !Object.hasOwn(values, key)
      if (missing && untouched(key)) this.#expired(peer, key)
    }
    for (const [key, value] of Object.entries(values)) {
      if (untouched(key)) this.#updated(peer, key, value)
    }
  }

  #appeared (name, generation, alive = true) {
    let peer = this.#peers.get(name)
    if (!peer) {
      if (!this.#makeRoom()) return
      peer = new Peer(name)
      this.#peers.set(name, peer)
      this.#tell('new_peer', peer)
    }
    // When it starts again, its keys are gone. Of a seed the generation is not known at first.
    if (peer.generation !== undefined && peer.generation !== generation) peer.values.clear()
    peer.generation = generation
    if (!alive) return this.#failed(peer)
    if (!peer.alive) {
      peer.alive = true
      this.#tell('peer_alive', name)
    }
  }

  #makeRoom () {
    if (this.#peers.size < MAX_PEERS) return true
    for (const peer of this.#peers.values()) {
      if (!peer.alive) return this.#peers.delete(peer.name)
    }
    return false
  }

  #failed (peer) {
    if (!peer?.alive) return
    peer.alive = false
    this.#tell('peer_failed', peer.name)
  }

  #updated (peer, key, value) {
    if (!peer) return
    const known = peer.values.get(key) ?? null
    if (this.#repeats && JSON.stringify(known) === JSON.stringify(value)) return
    if (value === null) peer.values.delete(key)
    else peer.values.set(key, value)
    this.#tell('update', peer.name, key, value)
  }

  #expired (peer, key) {
    if (!peer?.values.has(key)) return
    const value = peer.values.get(key)
    peer.values.delete(key)
    this.#tell('expire', peer.name, key, value)
  }
}

module.exports = { Mirror }
