'use strict'

// Many Gossipers in one program, of npm's `grapevine` or of a module with the same class. The first
// is the seed of the others. It tells when each of them sees a round, or a peer that has failed.

const { args, tell, listen } = require('./program')
const { Gossiper } = require(args.module)

const [seed] = args.ports
const gossipers = args.ports.map((port) => {
  const gossiper = new Gossiper({ port, seeds: port === seed ? [] : [`127.0.0.1:${seed}`] })
  gossiper.on('update', (peer, key, value) => {
    if (key === 'round') tell('seen', { value, at: Date.now() })
  })
  gossiper.on('peer_failed', (peer) => tell('failed', { peer, at: Date.now() }))
  gossiper.start()
  return gossiper
})

// How many live peers each of them knows at least.
listen(() => tell('known', { known: Math.min(...gossipers.map((each) => each.livePeers().length)) }),
  () => {})
