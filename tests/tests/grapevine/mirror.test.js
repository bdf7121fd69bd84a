'use strict'

// The copy that a Gossiper keeps of a group, and how it reads events: the rules, one by one.

const { test } = require('node:test')
const assert = require('node:assert/strict')
const path = require('node:path')

const folder = path.join(__dirname, '../../../examples/grapevine')
const { Mirror } = require(path.join(folder, 'mirror'))
const { EventReader } = require(path.join(folder, 'event_reader'))

const [A, B, SEED] = ['10.0.0.1:7001', '10.0.0.2:7002', '10.0.0.9:7000']

/// A mirror that has read a first snapshot, of these members, and what it has told since.
function mirrorOf (members, seeds = []) {
  const told = []
  const mirror = new Mirror(seeds, (...event) => told.push(event.map(String).join(' ')))
  mirror.beginSnapshot()
  mirror.endSnapshot(members, false)
  told.length = 0
  return { mirror, told }
}

function member (address, { generation = 1, state = 'live', values = {} } = {}) {
  return { address, generation, state, values }
}

test('a snapshot tells the differences only', () => {
  const { mirror, told } = mirrorOf([member(A, { values: { x: 1, y: 2 } }), member(B)])
  mirror.beginSnapshot()
  mirror.endSnapshot([
    member(A, { values: { x: 1, z: 3 } }), member(B, { state: 'dead' }), member(SEED)
  ], false)
  assert.deepEqual(told, [
    `expire ${A} y 2`, `update ${A} z 3`, `peer_failed ${B}`, `new_peer ${SEED}`
  ])
  assert.deepEqual(mirror.names(({ alive }) => alive), [A, SEED])
})

test('what events tell while a snapshot is read is newer than the snapshot', () => {
  const { mirror, told } = mirrorOf([member(A, { values: { x: 1, y: 1 } }), member(B)])
  mirror.beginSnapshot()
  mirror.apply('update', { peer: A, key: 'x', value: 2 })
  mirror.apply('expire', { peer: A, key: 'y' })
  mirror.apply('peer_failed', { peer: B })
  mirror.endSnapshot([member(A, { values: { x: 1, y: 1 } }), member(B)], false)
  assert.deepEqual(told, [`update ${A} x 2`, `expire ${A} y 1`, `peer_failed ${B}`])
  assert.equal(mirror.peer(A).values.get('x'), 2)
})

test('an event that a snapshot has overtaken is told once', () => {
  const { mirror, told } = mirrorOf([member(A)])
  mirror.beginSnapshot()
  mirror.endSnapshot([member(A, { values: { x: 1 } })], true)
  mirror.apply('update', { peer: A, key: 'x', value: 1 })
  assert.deepEqual(told, [`update ${A} x 1`])
})

test('a value that is set again is told again', () => {
  const { mirror, told } = mirrorOf([member(A, { values: { x: 1 } })])
  mirror.apply('update', { peer: A, key: 'x', value: 1 })
  assert.deepEqual(told, [`update ${A} x 1`])
})

test('a member of a new generation has none of its keys', () => {
  const { mirror, told } = mirrorOf([member(A, { values: { x: 1 } })])
  mirror.apply('new_peer', { peer: A, generation: 2 })
  assert.equal(mirror.peer(A).values.size, 0)
  assert.deepEqual(told, [])
})

test('members and keys are missed once a Grape that has started has found the others', () => {
  const { mirror, told } = mirrorOf([member(A), member(B, { values: { x: 1, y: 1 } })])
  mirror.beginSnapshot()
  mirror.endSnapshot([member(B)], true)
  mirror.apply('update', { peer: B, key: 'x', value: 1 })
  assert.deepEqual(told, [])
  mirror.beginSnapshot()
  mirror.endSnapshot([member(B, { values: { x: 1 } })], false)
  assert.deepEqual(told, [`expire ${B} y 1`, `peer_failed ${A}`])
})

test('a seed is there from the beginning, and is not told as new', () => {
  const told = []
  const mirror = new Mirror([SEED], (...event) => told.push(event.map(String).join(' ')))
  assert.deepEqual(mirror.names(() => true), [SEED])
  mirror.apply('update', { peer: SEED, key: 'x', value: 1 })
  mirror.beginSnapshot()
  mirror.endSnapshot([member(SEED, { values: { x: 1 } })], true)
  assert.deepEqual(told, [`update ${SEED} x 1`])
})

test('the member that failed makes room for the one member too many', () => {
  const address = (n) => `10.0.${n >> 8}.${n & 255}:7000`
  const { mirror, told } = mirrorOf(Array.from({ length: 1000 }, (_, n) => member(address(n))))
  mirror.apply('new_peer', { peer: A.replace('10.', '11.'), generation: 1 })
  assert.deepEqual(told, [])
  mirror.apply('peer_failed', { peer: address(7) })
  mirror.apply('new_peer', { peer: A.replace('10.', '11.'), generation: 1 })
  assert.equal(mirror.names(() => true).length, 1000)
  assert.equal(mirror.peer(address(7)), undefined)
})

test('events are read however they are cut', () => {
  const text = ': still here\n\nid: 1\nevent: update\ndata: {"peer":"ä"}\n\nevent: gap\ndata: {}\n\n'
  for (let size = 1; size <= text.length; size++) {
    const events = []
    const reader = new EventReader((...event) => events.push(event))
    for (let at = 0; at < text.length; at += size) reader.push(text.slice(at, at + size))
    assert.deepEqual(events, [['update', { peer: 'ä' }], ['gap', {}]])
  }
})

test('an event without an end is not kept', () => {
  const reader = new EventReader(() => {})
  assert.throws(() => {
    for (let n = 0; n < 100; n++) reader.push('x'.repeat(1000))
  }, /an event has over 65536 characters/)
})
