'use strict'

// Calls each named service once, by `request` or by `map`, and tells what came back.

const { args, tell } = require('./program')
const rpc = require('./rpc')

const link = rpc.link()
const peer = rpc.client(link)

function call (name, done) {
  const options = { timeout: 20000, compress: args.compress }
  peer[args.map ? 'map' : 'request'](name, args.payload, options, (error, result) => {
    tell('reply', { name, error: error ? error.message : null, result })
    done()
  })
}

let left = args.names.length
for (const name of args.names) {
  call(name, () => {
    left -= 1
    if (left > 0) return
    peer.stop()
    link.stop()
    process.exit(0)
  })
}
