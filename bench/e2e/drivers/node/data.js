// The paths of node-postgres that are about data and about connections as such.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline as flow } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { busy, copy, fails, one, target, withClient, withTable } from './paths.js'

const range = (n) => Array.from({ length: n }, (_, i) => i)

export const copyIn = () =>
  busy(2, () =>
    withClient((client) =>
      withTable(client, 'goods', 'id int, name text', async (name) => {
        const into = client.query(copyFrom(`copy ${name} from stdin`))
        await flow(Readable.from(range(5000).map((i) => `${i}\tname ${i}\n`)), into)
        assert.equal(into.rowCount, 5000)
        assert.equal(await one(client, `select count(*)::int from ${name} where name = 'name ' || id`), 5000)
      }),
    ),
  )

export const copyOut = () =>
  busy(2, () =>
    withClient(async (client) => {
      const text = await buffer(client.query(copyTo("copy (select i, 'name ' || i from generate_series(0, 4999) i) to stdout")))
      assert.equal(text.toString(), range(5000).map((i) => `${i}\tname ${i}\n`).join(''))
      const binary = await buffer(client.query(copyTo('copy (select 7::int) to stdout binary')))
      const header = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
      assert.deepEqual(binary, Buffer.concat([header, Buffer.from([0, 1, 0, 0, 0, 4, 0, 0, 0, 7, 255, 255])]))
    }),
  )

export const copyError = () =>
  withClient((client) =>
    withTable(client, 'spoilt', 'id int', async (name) => {
      for (let i = 0; i < 3; i++) {
        await fails('22P02', flow(Readable.from(['1\n', '2\n', 'x\n']), client.query(copyFrom(`copy ${name} from stdin`))))
        const broken = Readable.from((function* () {
          yield '1\n'
          throw new Error('the file is broken')
        })())
        await assert.rejects(flow(broken, client.query(copyFrom(`copy ${name} from stdin`))), /broken/)
        await fails('22012', buffer(client.query(copyTo('copy (select 1/(3-i) from generate_series(1, 5) i) to stdout'))))
        assert.equal(await one(client, `select count(*)::int from ${name}`), 0)
      }
    }),
  )

export const listen = () =>
  withClient((ear) =>
    withClient(async (mouth) => {
      const channel = `news_node_${copy}`
      await ear.query(`listen ${channel}`)
      for (let i = 0; i < 3; i++) {
        const heard = once(ear, 'notification')
        await mouth.query('select pg_notify($1, $2)', [channel, `it rains (${i})`])
        const [said] = await heard
        assert.deepEqual([said.channel, said.payload], [channel, `it rains (${i})`])
        assert.equal(await one(ear, 'select $1::int', [i]), i)
      }
      await ear.query(`unlisten ${channel}`)
    }),
  )

export const types = () =>
  withClient(async (client) => {
    const all = Buffer.from(range(256))
    const values = {
      int2: -32768, int8: '-9223372036854775808', float8: -0.1, bool: true, text: 'Zürich, Ελλάδα, 東京, 🦊 \'"\\', bytea: all,
      'int4[]': [1, -2, null], 'text[]': ['a', '', '{"b",}', 'NULL'], timestamptz: new Date('2026-02-28T23:59:59.999Z'),
      numeric: '12345678901234567890.12345', json: { a: [1.5, null, 'ü'] }, jsonb: { b: 1 }, int4: null,
      uuid: '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
    }
    for (const [name, value] of Object.entries(values)) {
      assert.deepEqual(await one(client, `select $1::${name}`, [value]), value, name)
    }
    const { rows } = await client.query({ text: 'select $1::int8 + 1 as n', values: [41], binary: true })
    assert.equal(String(rows[0].n), '42')
  })

export const large = () =>
  withClient(async (client) => {
    const value = Buffer.from(range(1 << 20).map((i) => (i * 7919) >> 5))
    for (let i = 0; i < 3; i++) {
      assert.ok(value.equals(await one(client, 'select $1::bytea', [value])))
      assert.ok(value.equals((await client.query({ name: 'bytes', text: 'select $1::bytea as b', values: [value] })).rows[0].b))
    }
    const text = '0123456789abcdef'.repeat(1 << 16)
    assert.ok((await one(client, `select '${text}'`)) === text)
  })

export async function pool() {
  const all = new pg.Pool({ ...target, max: 6 })
  const answers = await Promise.all(range(100).map((i) => all.query('select $1::int + 1 as n from pg_sleep(0.002)', [i])))
  assert.deepEqual(answers.map((a) => a.rows[0].n), range(100).map((i) => i + 1))
  await all.end()
}

export async function reconnect() {
  for (let i = 0; i < 20; i++) {
    await withClient(async (client) => assert.equal(await one(client, 'select $1::int', [i]), i))
  }
  const all = new pg.Pool({ ...target, max: 1 })
  all.on('error', () => {})
  await fails('57P01', all.query('select pg_terminate_backend(pg_backend_pid())'))
  assert.equal((await all.query('select $1::int as n', [5])).rows[0].n, 5)
  await all.end()
}
