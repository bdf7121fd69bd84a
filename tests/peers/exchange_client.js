'use strict'

// A client of the exchange with an order book of its own. Told to go, it submits `orders` orders;
// once its book has all `total` orders of the exchange, it tells the book.

const { args, tell, listen } = require('./program')
const OrderBook = require('./order_book')
const rpc = require('./rpc')

const link = rpc.link()
const peer = rpc.client(link)
const service = rpc.server(link, args.port)

const book = new OrderBook()
const early = new Map()
let next = 0
let told = false

// Broadcasts overtake each other; the book takes them in the server's order.
service.on('request', (rid, key, { number, order }, handler) => {
  early.set(number, order)
  while (early.has(next)) {
    book.apply(early.get(next))
    early.delete(next)
    next += 1
  }
  handler.reply(null, args.name)
  if (next < args.total || told) return
  told = true
  tell('book', { bids: book.bids, asks: book.asks, trades: book.trades })
})

// A small generator of numbers, so that a run can be repeated.
let state = args.seed
function below (limit) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0
  return (state >>> 8) % limit
}

function submit (count) {
  if (count === args.orders) return tell('submitted', { count })
  const order = {
    id: `${args.name}-${count}`,
    side: below(2) === 0 ? 'buy' : 'sell',
    price: 95 + below(11),
    quantity: 1 + below(9)
  }
  tell('order', order)
  peer.request('exchange:orders', order, { timeout: 20000 }, (error, result) => {
    if (error) return tell('failed', { message: error.message })
    if (result.books !== args.books) return tell('failed', { message: `${result.books} books` })
    submit(count + 1)
  })
}

rpc.announce(link, 'exchange:book', args.port, () => tell('announced'))
listen(() => submit(0), () => {})
