'use strict'

// Keeps the mirror of a group like what the Grape knows, while the Grape answers.

const { Api } = require('./api')

// Milliseconds that a Grape may take to find the members after its start. Who is missing then has
// failed.
const FIND_TIME = 10_000

class Connection {
  #api
  #mirror
  #finds = false
  #reads = false
  #again = false

  constructor (url, group, mirror) {
    this.#api = new Api(url, group)
    this.#mirror = mirror
  }

  get api () {
    return this.#api
  }

  /// Joins the group, and reads all of it. `before` is the generation that the Grape had. Resolves
  /// to its generation now, and to a promise that is rejected when the Grape answers no more.
  async open (before) {
    this.#mirror.beginSnapshot()
    const { ended } = await this.#api.follow((event, data) => this.#take(event, data))
    const generation = await this.#api.generation()
    this.#finds = generation !== before
    await this.#readAll()
    if (this.#finds) {
      setTimeout(() => {
        this.#finds = false
        this.#readAgain()
      }, FIND_TIME).unref()
    }
    return { ended, generation }
  }

  #take (event, data) {
    if (event === 'gap') this.#readAgain()
    else this.#mirror.apply(event, data)
  }

  #readAgain () {
    // The mirror is another connection's by then.
    if (this.#api.closed) return
    // What could not be read is read when the Grape is back.
    this.#readAll().catch((error) => this.#api.close(error))
  }

  async #readAll () {
    // What is being read may be from before: it is read once more.
    this.#again = true
    if (this.#reads) return
    this.#reads = true
    while (this.#again) {
      this.#again = false
      this.#mirror.beginSnapshot()
      const peers = await this.#api.peers()
      const members = peers.map(async (peer) => {
        return { ...peer, values: peer.keys > 0 ? await this.#api.peerState(peer.address) : {} }
      })
      this.#mirror.endSnapshot(await Promise.all(members), this.#finds)
    }
    this.#reads = false
  }
}

module.exports = { Connection }
