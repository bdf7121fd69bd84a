'use strict'

// Checks ed25519 signatures with Node's own crypto, as the Grape's `verify` option wants it.

const crypto = require('crypto')

function publicKey (raw) {
  const x = Buffer.from(raw).toString('base64url')
  return crypto.createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } })
}

function verify (signature, message, key) {
  try {
    return crypto.verify(null, message, publicKey(key), signature)
  } catch (error) {
    return false
  }
}

module.exports = verify
