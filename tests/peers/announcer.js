'use strict'

// A service that listens, where it is told to, and announces itself as its argument says: by Link's
// own interval, or once. It tells what Link took each first answer for.

const { args, tell, listen } = require('./program')
const rpc = require('./rpc')

const link = rpc.link()
if (args.listens !== false) rpc.server(link, args.port)

const first = (error, result) => tell('announced', { error: error && error.message, result })
if (args.once) link.announce(args.name, args.port, {}, first)
else link.startAnnouncing(args.name, args.port, {}, first)

listen(() => {}, () => {})
