'use strict'

// A group of a Grape, over the Grape's HTTP API (docs/gossip.md). What is kept of an answer is
// bounded, in bytes and in time.

const { setMaxListeners } = require('node:events')
const http = require('node:http')
const { EventReader } = require('./event_reader')

// Most bytes of an answer: the list of 1,000 members takes some 200 KB.
const MAX_ANSWER = 4 << 20
// Most requests at a time.
const MAX_REQUESTS = 8
// Milliseconds without a byte of an answer.
const ANSWER_TIMEOUT = 10_000
// The same for the events: the Grape sends a comment every ten seconds.
const EVENTS_TIMEOUT = 30_000

class Api {
  #host
  #group
  #agent = new http.Agent({ maxSockets: MAX_REQUESTS })
  #closing = new AbortController()

  constructor (url, group) {
    const { protocol, hostname, port } = new URL(url)
    if (protocol !== 'http:') throw new Error(`${url}: expected a URL as http://127.0.0.1:30001`)
    // An IPv6 address has brackets in a URL only.
    this.#host = { hostname: hostname.replace(/^\[|\]$/g, ''), port }
    this.#group = group
    // Each request listens.
    setMaxListeners(0, this.#closing.signal)
  }

  /// Joins the group, and calls `onEvent(name, data)` for each of its events. Resolves once the
  /// events flow, to a promise that is rejected when they end.
  follow (onEvent) {
    const reader = new EventReader(onEvent)
    return new Promise((resolve, reject) => {
      // The events hold no place of the agent's, which requests need.
      const options = { ...this.#options('GET', ['events'], EVENTS_TIMEOUT), agent: false }
      const request = http.request(options, (response) => {
        if (response.statusCode !== 200) {
          return this.#read(response).then(({ text }) => reject(new Error(text.trim())), reject)
        }
        const ended = new Promise((resolve, reject) => {
          response.setEncoding('utf8')
          response.on('data', (text) => {
            try {
              reader.push(text)
            } catch (error) {
              this.close(error)
            }
          })
          response.on('close', () => reject(this.#why(new Error('the Grape ended the events'))))
          // The close follows.
          response.on('error', () => {})
        })
        // Who waits for it may come later.
        ended.catch(() => {})
        resolve({ ended })
      })
      this.#end(request, reject)
    })
  }

  /// The members of the group, without their keys.
  peers () {
    return this.#json(['peers'])
  }

  /// The keys of a member with their values; none if the Grape does not know the member.
  async peerState (peer) {
    const answer = await this.#send('GET', ['peers', peer, 'state'])
    return answer.status === 404 ? {} : parse(answer)
  }

  /// The own keys that the Grape has.
  ownState () {
    return this.#json(['state'])
  }

  /// The Grape's generation in the group: another one after a restart.
  async generation () {
    const { groups } = parse(await this.#request(this.#options('GET', undefined, ANSWER_TIMEOUT)))
    return groups.find(({ group }) => group === this.#group)?.generation
  }

  /// The name of the Grape as other members see it; none while the Grape does not know its address.
  async peerName () {
    const options = { ...this.#options('GET', undefined, ANSWER_TIMEOUT), path: '/status' }
    const { advertised, dhtAddress } = parse(await this.#request(options))
    if (!advertised) return undefined
    const port = dhtAddress.slice(dhtAddress.lastIndexOf(':') + 1)
    return advertised.includes(':') ? `[${advertised}]:${port}` : `${advertised}:${port}`
  }

  /// Sets an own key to a JSON text until `expires`, in milliseconds since 1970, if that is given.
  async set (key, text, expires) {
    const query = expires === undefined ? '' : `?expires=${new Date(expires).toISOString()}`
    const answer = await this.#send('PUT', ['state', key], { query, body: text })
    if (answer.status !== 200) throw new Refused(answer.text.trim())
  }

  /// Unsets an own key, if it is set.
  async unset (key) {
    const answer = await this.#send('DELETE', ['state', key])
    if (answer.status >= 400 && answer.status !== 404) throw new Refused(answer.text.trim())
  }

  get closed () {
    return this.#closing.signal.aborted
  }

  /// Ends all requests and the events, for this reason.
  close (reason) {
    this.#closing.abort(reason)
  }

  async #json (parts) {
    return parse(await this.#send('GET', parts))
  }

  #send (method, parts, { query = '', body } = {}) {
    const options = this.#options(method, parts, ANSWER_TIMEOUT)
    return this.#request({ ...options, path: options.path + query }, body)
  }

  #options (method, parts, timeout) {
    const path = parts === undefined ? [] : [this.#group, ...parts]
    return {
      ...this.#host,
      method,
      timeout,
      signal: this.#closing.signal,
      agent: this.#agent,
      path: ['/gossip', ...path.map(encodeURIComponent)].join('/')
    }
  }

  #request (options, body) {
    return new Promise((resolve, reject) => {
      const request = http.request(options, (response) => {
        this.#read(response).then(resolve, reject)
      })
      this.#end(request, reject, body)
    })
  }

  #end (request, reject, body) {
    request.on('error', (error) => reject(this.#why(error)))
    // The other requests would wait as long.
    request.on('timeout', () => this.close(new Error('the Grape does not answer')))
    request.end(body)
  }

  /// What ended the connection is the reason why its requests fail.
  #why (error) {
    const { aborted, reason } = this.#closing.signal
    return aborted ? reason : error
  }

  async #read (response) {
    const chunks = []
    let bytes = 0
    for await (const chunk of response) {
      bytes += chunk.length
      if (bytes > MAX_ANSWER) throw new Error(`an answer of the Grape has over ${MAX_ANSWER} bytes`)
      chunks.push(chunk)
    }
    return { status: response.statusCode, text: Buffer.concat(chunks).toString() }
  }
}

/// The Grape does not accept a key.
class Refused extends Error {}

function parse ({ status, text }) {
  if (status !== 200) throw new Error(text.trim())
  return JSON.parse(text)
}

module.exports = { Api, Refused }
