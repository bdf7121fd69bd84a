'use strict'

// Follows the events of a group over a WebSocket, and tells each.

const WebSocket = require('ws')
const { args, tell, listen } = require('./program')

const socket = new WebSocket(`${args.grape.replace('http:', 'ws:')}/gossip/${args.group}/events`)

socket.on('open', () => tell('open'))
socket.on('ping', () => tell('ping'))
socket.on('message', (text) => {
  const { id, event, data } = JSON.parse(text.toString())
  tell(event, { id, ...data })
})
socket.on('close', (code) => tell('close', { code }))
socket.on('error', (error) => tell('error', { message: error.message }))

listen(() => {}, () => socket.close())
