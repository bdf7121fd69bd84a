'use strict'

// The exchange's server: gives each submitted order its number, and broadcasts it to every book.

const { args, tell, listen } = require('./program')
const rpc = require('./rpc')

const link = rpc.link()
const peer = rpc.client(link)
const service = rpc.server(link, args.port)
let number = 0

service.on('request', (rid, key, order, handler) => {
  const numbered = { number, order }
  number += 1
  peer.map('exchange:book', numbered, { timeout: 20000 }, (error, books) => {
    if (error) tell('failed', { message: error.message })
    handler.reply(error, { number: numbered.number, books: books && books.length })
  })
})

rpc.announce(link, 'exchange:orders', args.port, () => tell('announced'))
listen(() => {}, () => {})
