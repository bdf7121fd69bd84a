'use strict'

// A service and its client with the wrapper of docs/grenache-clients.md, which is at `wrapper`, over
// the unchanged Link. Each line tells it what to do.

const { args, tell, listen } = require('./program')
const rpc = require('./rpc')
const { withdraw, watch, waitFor } = require(args.wrapper)

const link = rpc.link()
let stop = () => {}

const commands = {
  announce: ({ name, port }) => {
    rpc.server(link, port)
    link.startAnnouncing(name, port, {}, (error) => tell('announced', { error }))
  },
  stopAnnouncing: ({ name, port }) => tell('stopped', { result: link.stopAnnouncing(name, port) }),
  withdraw: ({ name, port }) => withdraw(link, name, port, (error, grapes) => {
    tell('withdrawn', { error: error && error.message, grapes })
  }),
  waitFor: ({ name, timeout }) => waitFor(link, name, timeout, (error, peers) => {
    tell('waited', { error: error && error.message, peers })
  }),
  watch: ({ name }) => { stop = watch(link, name, (peers) => tell('peers', { peers })) },
  unwatch: () => { stop(); tell('unwatched') }
}

listen((command) => commands[command.do](command), () => {})
