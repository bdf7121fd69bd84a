'use strict'

// A service and a client that never cease. It announces a name of its own every second, and a name
// that was never there before every 100 ms; and it looks up those of another one of its kind, a
// fresh one once, five seconds after it is due. Once it has found the other one it tells every
// second how often that went well, and what went wrong.

const Link = require('grenache-nodejs-link')
const { args, tell, listen } = require('./program')

const STEP = 100
const LAG = 50
const PORT = 1337

// Answers are not to be remembered: each lookup is asked of the Grape. And a machine that is busy
// with other tests is given time; how much was needed is told.
const link = new Link({ grape: args.grape, lruMaxAgeLookup: 1, requestTimeout: 10000 })
link.start()

const step = () => Math.floor(Date.now() / STEP)
const none = () => ({ lookups: 0, announces: 0, slowest: 0, failures: [] })

let told = none()
let announced = step()
let found = null

function asked (what, name, good, done) {
  const begun = Date.now()
  const answer = (error, result) => {
    const took = Date.now() - begun
    if (found !== null) {
      told[what] += 1
      told.slowest = Math.max(told.slowest, took)
      if (error || !good(result)) {
        const why = error ? error.message : JSON.stringify(result)
        told.failures.push(`${new Date(begun).toISOString()} ${what} ${name}, ${took} ms: ${why}`)
      }
    }
    if (done) done(!error && good(result))
  }
  // One try: a second one would hide that the first was for nothing.
  if (what === 'lookups') link.lookup(name, { retry: 1 }, answer)
  else link.announce(name, PORT, { retry: 1 }, answer)
}

const announce = (name) => asked('announces', name, (count) => typeof count === 'number')

function lookup (name, done) {
  asked('lookups', name, (peers) => peers.some((peer) => peer.endsWith(`:${PORT}`)), done)
}

announce(args.own)
setInterval(() => announce(args.own), 1000)
setInterval(() => {
  for (const now = step(); announced < now; announced += 1) announce(`${args.own}-${announced}`)
  if (found === null) return lookup(args.other, (good) => { if (good) found = step() })
  lookup(args.other)
  for (const due = step() - LAG; found < due; found += 1) lookup(`${args.other}-${found}`)
}, STEP)
setInterval(() => {
  if (found === null) return
  tell('second', told)
  told = none()
}, 1000)
listen(() => {}, () => {})
