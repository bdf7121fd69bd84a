'use strict'

// A service that has never heard of Grenache: an HTTP server whose /ready says what it was told
// last, `ready` or `unready`.

const http = require('http')
const { args, tell, listen } = require('./program')

let ready = true

const server = http.createServer((request, response) => {
  response.statusCode = request.url === '/ready' && !ready ? 503 : 200
  response.end(args.name)
})
server.listen(args.port, () => tell('listening'))
listen((command) => {
  ready = command === 'ready'
  tell('told', { ready })
}, () => {})
