'use strict'

// Stores items through one Grape with the link, and reads them back through another.

const crypto = require('crypto')
const Link = require('grenache-nodejs-link')
const { args, tell } = require('./program')

const [writer, reader] = [args.put, args.get].map((grape) => {
  const link = new Link({ grape, requestTimeout: 10000 })
  link.start()
  return link
})

const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519')
const k = Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url').toString('hex')

function signed (v, seq, salt) {
  const head = salt ? `4:salt${salt.length}:${salt}` : ''
  const sig = crypto.sign(null, Buffer.from(`${head}3:seqi${seq}e1:v${v.length}:${v}`), privateKey)
  return { v, k, seq, salt, sig: sig.toString('hex') }
}

const microseconds = Date.now() * 1000
const items = [
  ['immutable', { v: 'hello world' }, (hash) => hash],
  ['mutable', signed('version one', 1), (hash) => hash],
  ['salted', signed('version two', microseconds, 'books'), (hash) => ({ hash, salt: 'books' })]
]

function store ([kind, item, question], done) {
  writer.put(item, (error, hash) => {
    tell('put', { kind, error: error ? error.message : null, hash })
    if (error) return done()
    reader.get(question(hash), (error, found) => {
      tell('got', { kind, error: error ? error.message : null, found, put: item })
      done()
    })
  })
}

function all (left) {
  if (left.length === 0) process.exit(0)
  store(left[0], () => all(left.slice(1)))
}

all(items)
