'use strict'

// An order book with price-time priority. Equal orders in an equal sequence give equal books.

class OrderBook {
  constructor () {
    this.bids = []
    this.asks = []
    this.trades = []
  }

  apply (order) {
    const buys = order.side === 'buy'
    const [own, opposite] = buys ? [this.bids, this.asks] : [this.asks, this.bids]
    const meets = (resting) => buys ? resting.price <= order.price : resting.price >= order.price

    let left = order.quantity
    while (left > 0 && opposite.length > 0 && meets(opposite[0])) {
      const resting = opposite[0]
      const quantity = Math.min(left, resting.quantity)
      this.trades.push({ taker: order.id, maker: resting.id, price: resting.price, quantity })
      left -= quantity
      resting.quantity -= quantity
      if (resting.quantity === 0) opposite.shift()
    }
    if (left === 0) return

    const remainder = { id: order.id, price: order.price, quantity: left }
    const better = (a, b) => buys ? a.price > b.price : a.price < b.price
    const place = own.findIndex((resting) => better(remainder, resting))
    own.splice(place < 0 ? own.length : place, 0, remainder)
  }
}

module.exports = OrderBook
