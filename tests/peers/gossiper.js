'use strict'

// A Gossiper of npm's `grapevine`, or of a module with the same class. It tells all of its events,
// and does as it is told.

const { args, tell, listen } = require('./program')
const { Gossiper } = require(args.module)

const gossiper = new Gossiper(args.options)
for (const event of ['update', 'expire', 'peer_alive', 'peer_failed']) {
  gossiper.on(event, (peer, key, value) => tell(event, { peer, key, value, at: Date.now() }))
}
gossiper.on('new_peer', ({ name }) => tell('new_peer', { peer: name }))
gossiper.on('error', ({ message }) => tell('error', { message }))

const commands = {
  start: () => gossiper.start(() => tell('started', { name: gossiper.peer_name })),
  stop: () => gossiper.stop(() => tell('stopped')),
  set: ({ key, value, expiresIn }) => {
    const at = Date.now()
    gossiper.setLocalState(key, value, expiresIn && at + expiresIn)
    tell('set', { at })
  },
  show: () => {
    const own = [gossiper.peer_name, ...gossiper.allPeers()]
    const states = own.map((peer) => {
      const keys = gossiper.peerKeys(peer).filter((key) => key !== '__heartbeat__').sort()
      return [peer, Object.fromEntries(keys.map((key) => [key, gossiper.peerValue(peer, key)]))]
    })
    const [live, dead] = [gossiper.livePeers(), gossiper.deadPeers()]
    tell('shown', { live, dead, states: Object.fromEntries(states) })
  }
}

commands.start()
listen((command) => commands[command.do](command), () => {})
