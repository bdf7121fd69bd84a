'use strict'

// A trader: announces `common` and a name of its own. It offers to all by `map` over `common`;
// who accepts calls the offerer by its own name; the offerer then closes the offer for all.

const { args, tell, listen } = require('./program')
const rpc = require('./rpc')

const link = rpc.link()
const peer = rpc.client(link)
const service = rpc.server(link, args.port)
const own = `trader:${args.name}`
const offers = new Map()

const on = {
  offer: ({ id, maker, text }) => {
    offers.set(id, { maker, text, takenBy: null, open: true })
    tell('offered', { id, maker, text })
    return 'seen'
  },
  accept: ({ id, taker }) => {
    const offer = offers.get(id)
    if (!offer || offer.maker !== own) throw new Error('ERR_NOT_MY_OFFER')
    if (offer.takenBy) throw new Error('ERR_OFFER_CLOSED')
    offer.takenBy = taker
    broadcast('close', { id, taker })
    return 'yours'
  },
  close: ({ id, taker }) => {
    offers.get(id).open = false
    tell('closed', { id, taker })
    return 'seen'
  }
}

service.on('request', (rid, key, payload, handler) => {
  try {
    handler.reply(null, on[payload.type](payload))
  } catch (error) {
    handler.reply(error)
  }
})

function broadcast (type, more) {
  peer.map('common', { type, ...more }, { timeout: 20000 }, (error, answers) => {
    tell('broadcast', { type, error: error ? error.message : null, answers })
  })
}

let announced = 0
for (const name of ['common', own]) {
  rpc.announce(link, name, args.port, () => {
    announced += 1
    if (announced === 2) tell('announced')
  })
}

listen((command) => {
  const { id } = command
  if (command.do === 'offer') return broadcast('offer', { id, maker: own, text: command.text })
  const { maker } = offers.get(id)
  const accept = { type: 'accept', id, taker: own }
  peer.request(maker, accept, { timeout: 20000 }, (error, result) => {
    tell('accepted', { id, error: error ? error.message : null, result })
  })
}, () => {})
