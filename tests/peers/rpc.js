'use strict'

// The transport that the argument names, and a link to the Grape that it names.

const Link = require('grenache-nodejs-link')
const { args } = require('./program')

const transports = { http: 'grenache-nodejs-http', ws: 'grenache-nodejs-ws' }
const { PeerRPCServer, PeerRPCClient } = require(transports[args.transport || 'http'])

function link () {
  const made = new Link({ grape: args.grape })
  made.start()
  return made
}

function server (link, port) {
  const peer = new PeerRPCServer(link, { timeout: 300000 })
  peer.init()
  const service = peer.transport('server')
  service.listen(port)
  return service
}

function client (link) {
  const peer = new PeerRPCClient(link, {})
  peer.init()
  return peer
}

// Announces at once and then every second, as most services do; tells when it first succeeds.
function announce (link, name, port, onFirst) {
  let first = true
  const once = () => link.announce(name, port, {}, (error, nodes) => {
    if (error || typeof nodes !== 'number' || !first) return
    first = false
    onFirst(nodes)
  })
  once()
  return setInterval(once, 1000)
}

module.exports = { link, server, client, announce }
