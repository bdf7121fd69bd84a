'use strict'

// Runs Node.js Grapes: one for each object of options in the argument. An option `verify: true`
// lets a Grape hold mutable items, which the stock command cannot.

const { Grape } = require('grenache-grape')
const verify = require('./verify')
const { args, tell, listen } = require('./program')

const grapes = args.map((options) => {
  return new Grape({ ...options, verify: options.verify ? verify : undefined })
})

let starting = grapes.length
for (const grape of grapes) {
  grape.start((error) => {
    if (error) throw error
    starting -= 1
    if (starting > 0) return
    tell('listening', {
      grapes: grapes.map((each) => ({
        id: each.node.nodeId.toString('hex'),
        dht: each.node.address().port,
        api: each._interface.http.address().port
      }))
    })
  })
}

listen((command) => {
  if (command === 'nodes') {
    tell('nodes', { counts: grapes.map((each) => each.node.nodes.count()) })
  }
}, () => {})
