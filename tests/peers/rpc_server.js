'use strict'

// A service: announces its name, and answers every request with its name and what it was sent. A
// request with `who` is answered with the host's name.

const { hostname } = require('node:os')
const { args, tell, listen } = require('./program')
const rpc = require('./rpc')

const link = rpc.link()
const service = rpc.server(link, args.port)

service.on('request', (rid, key, payload, handler) => {
  tell('request', { key, payload })
  if (payload && payload.fail) return handler.reply(new Error(payload.fail))
  if (payload && payload.who) return handler.reply(null, hostname())
  handler.reply(null, { service: args.name, payload })
})

rpc.announce(link, args.name, args.port, (nodes) => tell('announced', { name: args.name, nodes }))
listen(() => {}, () => {})
