'use strict'

// Calls a Grape as the first Grapes were called: WebSocket frames `[rid, verb, data]` on the API's
// port. Sends every frame of `frames` in one go, and tells the answers as they come.

const WebSocket = require('ws')
const { args, tell } = require('./program')

const socket = new WebSocket(args.grape.replace('http:', 'ws:') + (args.path || ''))
let left = args.frames.length

socket.on('open', () => {
  tell('open')
  socket.ping('are you there')
  for (const frame of args.frames) socket.send(JSON.stringify(frame))
})

socket.on('pong', (data) => tell('pong', { data: data.toString() }))

socket.on('message', (data, isBinary) => {
  const [rid, result] = JSON.parse(data.toString())
  tell('answer', { rid, result: result === undefined ? null : result, isBinary: isBinary === true })
  left -= 1
  if (left === 0) socket.close()
})

socket.on('close', () => {
  tell('close')
  process.exit(0)
})

socket.on('error', (error) => {
  tell('error', { message: error.message })
  process.exit(1)
})
