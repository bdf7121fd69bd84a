'use strict'

// A client that never ceases: calls a service every 50 ms, each time one that it has just looked
// up, and tells every second how often that went well, and what went wrong.

const Link = require('grenache-nodejs-link')
const { PeerRPCClient } = require('grenache-nodejs-http')
const { args, tell, listen } = require('./program')

const link = new Link({ grape: args.grape, lruMaxAgeLookup: 1, requestTimeout: 10000 })
link.start()
const peer = new PeerRPCClient(link, {})
peer.init()

const none = () => ({ calls: 0, slowest: 0, services: {}, failures: [] })
let told = none()
let begun = false

setInterval(() => {
  const at = Date.now()
  peer.request(args.name, { at }, { timeout: 10000 }, (error, result) => {
    if (!error) begun = true
    if (!begun) return
    const took = Date.now() - at
    told.calls += 1
    told.slowest = Math.max(told.slowest, took)
    if (error) return told.failures.push(`${new Date(at).toISOString()}, ${took} ms: ${error.message}`)
    told.services[result.service] = (told.services[result.service] || 0) + 1
  })
}, 50)
setInterval(() => {
  if (!begun) return
  tell('second', told)
  told = none()
}, 1000)
listen(() => {}, () => {})
