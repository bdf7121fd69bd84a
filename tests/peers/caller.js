'use strict'

// A client that never ceases: calls a service every 50 ms, and tells every second how often that
// went well, and what went wrong. It keeps what it looked up for `kept` ms, or as Link does.

const http = require('node:http')
const Link = require('grenache-nodejs-link')
const { PeerRPCClient } = require('grenache-nodejs-http')
const { args, tell, listen } = require('./program')

// Node.js's server closes a connection that was idle for five seconds, and a client that takes it up
// at that moment fails. That is between those two, and nothing that a Grape could do.
http.globalAgent = new http.Agent({ keepAlive: false })

const link = new Link({
  grape: args.grape,
  requestTimeout: 60000,
  ...(args.kept && { lruMaxAgeLookup: args.kept })
})
link.start()
const peer = new PeerRPCClient(link, {})
peer.init()

const none = () => ({ calls: 0, slowest: 0, hosts: {}, failures: [] })
let told = none()
let begun = false

setInterval(() => {
  const at = Date.now()
  peer.request(args.name, { who: true }, { timeout: 60000 }, (error, host) => {
    if (!error) begun = true
    if (!begun) return
    const took = Date.now() - at
    told.calls += 1
    told.slowest = Math.max(told.slowest, took)
    if (error) return told.failures.push(`${new Date(at).toISOString()}, ${took} ms: ${error.message}`)
    told.hosts[host] = (told.hosts[host] || 0) + 1
  })
}, 50)
setInterval(() => {
  if (!begun) return
  tell('second', told)
  told = none()
}, 1000)
listen(() => {}, () => {})
