'use strict'

// The original's tests end each step a second after its own pauses. A busy machine may take longer,
// so that mocha waits twenty times as long for a step that does not end.

const { Runnable } = require('mocha')

const timeout = Runnable.prototype.timeout
Runnable.prototype.timeout = function (...ms) {
  return timeout.apply(this, ms.map((each) => 20 * each))
}
