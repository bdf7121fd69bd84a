'use strict'

// A client that calls a service every 50 ms. It tells every second how many calls ended, which hosts
// answered, and which calls failed. It keeps a lookup for `kept` ms; for 10 s, as Link does, without.

const http = require('node:http')
const Link = require('grenache-nodejs-link')
const { PeerRPCClient } = require('grenache-nodejs-http')
const { args, tell, listen } = require('./program')

// Node.js's server closes a connection that was idle for five seconds. A client that got no CPU for a
// second may use it at that moment, and its call fails. A Grape has no part in that.
http.globalAgent = new http.Agent({ keepAlive: false })

const link = new Link({
  grape: args.grape,
  requestTimeout: 10000,
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
  peer.request(args.name, { who: true }, { timeout: 10000 }, (error, host) => {
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
