'use strict'

// What every program here does alike: it is told what to do by one JSON argument and by lines on
// its standard input, tells what happened by JSON lines, and ends when its standard input does.

const readline = require('readline')

const args = JSON.parse(process.argv[2] || '{}')

function tell (event, more = {}) {
  process.stdout.write(JSON.stringify({ event, ...more }) + '\n')
}

function listen (onCommand, onEnd) {
  const lines = readline.createInterface({ input: process.stdin })
  lines.on('line', (line) => onCommand(JSON.parse(line)))
  lines.on('close', () => {
    onEnd()
    process.exit(0)
  })
}

module.exports = { args, tell, listen }
