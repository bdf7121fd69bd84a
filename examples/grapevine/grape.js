'use strict'

// Which Grape a Gossiper uses: one of those that GRAPE_URL names, or one that it starts.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const readline = require('node:readline')

// The shell stops the Grape once its standard input ends, which is also when this process ends in
// whichever way. It closes its end of the log, so that the log ends with the Grape.
const GUARD = '"$@" & exec 2>&-; read -r line; kill $!; wait'

/// One of the Grapes that `GRAPE_URL` names. Each is one member of the group, and so one Gossiper's.
class NamedGrape {
  static #taken = new Set()
  #urls
  #own

  constructor (urls) {
    this.#urls = urls
  }

  url () {
    this.#own ??= this.#urls.find((url) => !NamedGrape.#taken.has(url))
    if (!this.#own) {
      const have = this.#urls.length
      throw new Error(`GRAPE_URL has ${have} URLs, and a Gossiper uses each of them: expected one ` +
        'URL for each Gossiper, separated by commas; or none, so that each starts its own Grape')
    }
    NamedGrape.#taken.add(this.#own)
    return this.#own
  }

  /// The Grape is not stopped, so it stays a member.
  get outlives () {
    return true
  }

  stop () {
    NamedGrape.#taken.delete(this.#own)
    this.#own = undefined
  }
}

/// A Grape that is started for a Gossiper, at the Gossiper's address and port (UDP). It ends with
/// this process at the latest.
class OwnGrape {
  #flags
  #guard
  #exited
  #url

  constructor ({ address, port, seeds, group }) {
    this.#flags = [
      '--bind', '127.0.0.1', '--api_port', '0', '--dht-bind', address, '--dht_port', port,
      '--gossip', group, ...seeds.flatMap((seed) => ['--gossip-seeds', seed]),
      '--log', 'warn,grape::lifecycle=info', '--log-format', 'json'
    ]
  }

  get outlives () {
    return false
  }

  /// Starts the Grape unless it runs. Resolves to the URL of its API. The Grape ends with the signal
  /// `stop`.
  async url (stop) {
    if (this.#url) return this.#url
    await this.stop()
    const binary = process.env.GRAPE_BINARY || 'grape'
    // In a group of its own: the keys that stop this process do not stop the Grape before.
    const guard = spawn('sh', ['-c', GUARD, 'sh', binary, ...this.#flags.map(String)], {
      detached: true,
      stdio: ['pipe', 'ignore', 'pipe']
    })
    this.#guard = guard
    this.#exited = once(guard, 'exit').catch(() => {})
    // The guard may end before the end of its input is written.
    guard.stdin.on('error', () => {})
    const end = () => guard.stdin.end()
    stop.addEventListener('abort', end)
    guard.once('exit', () => stop.removeEventListener('abort', end))
    if (stop.aborted) end()
    return new Promise((resolve, reject) => {
      let last = 'it said nothing'
      const ended = () => {
        if (this.#guard === guard) this.#url = undefined
        reject(new Error(`${binary} ended: ${last}. GRAPE_BINARY names the binary of a Grape; ` +
          'GRAPE_URL names a Grape that runs'))
      }
      const log = readline.createInterface({ input: guard.stderr })
      log.on('line', (line) => {
        const url = /"API at (http:[^"]+)"/.exec(line)?.[1]
        if (url) resolve(this.#url = url)
        else last = line
      })
      log.on('close', ended)
      guard.once('exit', ended)
      guard.on('error', reject)
    })
  }

  /// Stops the Grape, and waits until it has ended.
  async stop () {
    this.#url = undefined
    this.#guard?.stdin.end()
    await this.#exited
    this.#guard = undefined
  }
}

/// The Grape for a Gossiper of these options.
function grapeFor (options) {
  const urls = (process.env.GRAPE_URL ?? '').split(',').map((url) => url.trim())
  const named = urls.filter((url) => url !== '')
  return named.length > 0 ? new NamedGrape(named) : new OwnGrape(options)
}

module.exports = { grapeFor }
