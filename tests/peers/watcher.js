'use strict'

// Looks names up every 100 ms, each time at its Grape, and tells when what it finds changes, with
// the time at which it had asked for it.

const Link = require('grenache-nodejs-link')
const { args, tell, listen } = require('./program')

// Answers are not to be remembered.
const link = new Link({ grape: args.grape, lruMaxAgeLookup: 1, requestTimeout: 10000 })
link.start()

const known = new Map()

function look (name) {
  const at = Date.now()
  link.lookup(name, { retry: 1 }, (error, found) => {
    const nobody = error && error.message === 'ERR_GRAPE_LOOKUP_EMPTY'
    const peers = error && !nobody ? error.message : (nobody ? [] : found.slice().sort())
    const before = known.get(name) || { at: 0 }
    // Answers may overtake each other.
    if (before.at > at) return
    const changed = JSON.stringify(before.peers) !== JSON.stringify(peers)
    known.set(name, { at, peers })
    if (changed) tell('found', { name, peers, at })
  })
}

setInterval(() => args.names.forEach(look), 100)
tell('watching')
listen(() => {}, () => {})
