// The common paths of node-postgres.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import pg from 'pg'
import Cursor from 'pg-cursor'
import * as data from './data.js'
import { busy, ca, copy, fails, main, moved, one, target, withClient, withTable } from './paths.js'

async function connect() {
  await withClient(async (client) => {
    assert.equal(await one(client, 'select current_user::text'), target.user)
    assert.equal(await one(client, 'select current_database()::text'), target.database)
  })
  const wrong = new pg.Client({ ...target, password: 'wrong' })
  await fails('28P01', wrong.connect())
}

async function overTLS(ssl) {
  await withClient(
    async (client) => {
      assert.ok(client.connection.stream.encrypted)
      assert.equal(await one(client, 'select $1::int + 1', [1]), 2)
    },
    { ssl },
  )
}

const tlsRequire = () => overTLS({ rejectUnauthorized: false })

async function tlsVerifyFull() {
  await overTLS({ ca: readFileSync(ca, 'utf8') })
  await overTLS({ ca: readFileSync(ca, 'utf8'), enableChannelBinding: true })
  const unsure = new pg.Client({ ...target, ssl: true })
  unsure.on('error', () => {})
  await assert.rejects(unsure.connect(), /certificate/)
}

async function startup() {
  const wanted = {
    application_name: 'first words', geqo: 'off', statement_timeout: '54321ms', lock_timeout: '4321ms', TimeZone: 'Asia/Tokyo',
    search_path: 'pg_catalog',
  }
  const more = {
    application_name: 'first words',
    statement_timeout: 54321,
    lock_timeout: 4321,
    options: '-c geqo=off -c TimeZone=Asia/Tokyo -c search_path=pg_catalog',
  }
  await withClient(
    (client) =>
      withClient(async (other) => {
        for (let i = 0; i < 3; i++) {
          for (const [name, want] of Object.entries(wanted)) {
            assert.equal(await one(client, 'select current_setting($1)', [name]), want, name)
          }
          assert.equal(await one(other, 'show statement_timeout'), '0')
        }
      }),
    more,
  )
}

const simple = () =>
  withClient(async (client) => {
    const results = await client.query({ text: "select 1; select 'two', 2; select 3 where false", rowMode: 'array' })
    assert.deepEqual(results.map((r) => r.rows), [[[1]], [['two', 2]], []])
    await client.query('')
    await fails('22012', client.query('select 1; select 1/0; select 2'))
    assert.equal(await one(client, 'select 4'), 4)
  })

const parameters = () =>
  busy(2, () =>
    withClient(async (client) => {
      for (let i = 0; i < 60; i++) {
        const text = "select coalesce($1::text, 'none') || $2::int"
        assert.equal(await one(client, text, [`x${i}`, i]), `x${i}${i}`)
        assert.equal(await one(client, text, [null, i]), `none${i}`)
      }
    }),
  )

const prepared = () =>
  busy(3, () =>
    withClient(async (client) => {
      const pids = []
      const ask = async (i) => {
        const query = { name: 'sum', text: 'select $1::int + $2::int as sum, pg_backend_pid() as pid', values: [i, i * i] }
        const { rows } = await client.query(query)
        assert.equal(rows[0].sum, i + i * i)
        pids.push(rows[0].pid)
      }
      for (let i = 0; i < 60 || !moved(pids); i++) {
        await client.query('begin')
        await ask(i)
        await ask(-i)
        await client.query('commit')
        await ask(2 * i)
      }
    }),
  )

const manyStatements = () =>
  busy(1, () =>
    withClient(async (client) => {
      for (let turn = 0; turn < 3; turn++) {
        for (let i = 0; i < 60; i++) {
          const { rows } = await client.query({ name: `number ${i}`, text: `select $1::int + ${i} as n`, values: [turn] })
          assert.equal(rows[0].n, turn + i)
        }
      }
    }),
  )

// The driver has no call to close a statement: it is done by DEALLOCATE, and another client has the name
// for something else.
const closeStatement = () =>
  withClient((first) =>
    withClient(async (second) => {
      const ask = async (client, text, want) =>
        assert.equal((await client.query({ name: 'again', text, values: [1] })).rows[0].n, want)
      for (let i = 0; i < 5; i++) {
        await ask(first, 'select $1::int + 1 as n', 2)
        await ask(second, 'select $1::int + 2 as n', 3)
      }
      await first.query('deallocate again')
      await fails('26000', ask(first, 'select $1::int + 1 as n', 2))
      await ask(second, 'select $1::int + 2 as n', 3)
      await second.query('deallocate all')
      await fails('26000', ask(second, 'select $1::int + 2 as n', 3))
    }),
  )

// Queries that are sent without waiting for the answers of those before.
const pipeline = () =>
  busy(2, () =>
    withClient(
      (client) =>
        withTable(client, 'batch', 'n int primary key', async (name) => {
          const answers = []
          for (let i = 0; i < 300; i++) {
            client.query({ name: 'insert', text: `insert into ${name} values ($1)`, values: [i] })
            answers.push(one(client, 'select $1::int * 3', [i]))
          }
          assert.deepEqual(await Promise.all(answers), Array.from({ length: 300 }, (_, i) => 3 * i))
          assert.equal(await one(client, `select count(*)::int from ${name}`), 300)
        }),
      { pipeline: true },
    ),
  )

// Each query of this driver's pipeline is a transaction of its own, so one that fails concerns no other.
const pipelineError = () =>
  withClient(
    async (client) => {
      const sent = []
      for (let i = -10; i <= 10; i++) sent.push(client.query({ name: 'ratio', text: 'select 100/$1::int as n', values: [i] }))
      sent.push(one(client, 'select no_such_column'))
      sent.push(one(client, 'select $1::int', [7]))
      const ended = await Promise.allSettled(sent)
      for (let i = -10; i <= 10; i++) {
        const { status, value, reason } = ended[i + 10]
        if (i === 0) assert.equal(reason?.code, '22012')
        else assert.deepEqual([status, value.rows[0].n], ['fulfilled', Math.trunc(100 / i)])
      }
      assert.equal(ended.at(-2).reason?.code, '42703')
      assert.equal(ended.at(-1).value, 7)
    },
    { pipeline: true },
  )

const transaction = () =>
  busy(2, () =>
    withClient((client) =>
      withTable(client, 'account', 'n int primary key', async (name) => {
        const insert = (n) => client.query(`insert into ${name} values ($1)`, [n])
        const count = () => one(client, `select count(*)::int from ${name}`)
        await client.query('begin')
        await insert(1)
        await client.query('commit')

        await client.query('begin')
        await insert(2)
        assert.equal(await count(), 2)
        await client.query('rollback')

        await client.query('begin')
        await insert(3)
        await client.query('savepoint here')
        await insert(4)
        await fails('23505', insert(1))
        await fails('25P02', client.query('select 1'))
        await client.query('rollback to here')
        assert.equal(await count(), 2)
        await client.query('commit')

        await client.query('begin isolation level serializable read only')
        await fails('25006', insert(6))
        assert.equal((await client.query('commit')).command, 'ROLLBACK')
        assert.equal(await one(client, `select string_agg(n::text, ',' order by n) from ${name}`), '1,3')
      }),
    ),
  )

// A cursor of pg-cursor is a portal that is executed for so many rows at a time.
const cursor = () =>
  busy(2, () =>
    withClient(async (client) => {
      await client.query('begin')
      const piece = client.query(new Cursor('select i from generate_series(1, $1::int) i', [1000]))
      const got = []
      for (;;) {
        const rows = await piece.read(70)
        if (rows.length === 0) break
        got.push(...rows.map((r) => r.i))
      }
      assert.deepEqual(got, Array.from({ length: 1000 }, (_, i) => i + 1))
      await piece.close()
      const half = client.query(new Cursor('select i from generate_series(1, $1::int) i', [1000]))
      assert.equal((await half.read(5)).length, 5)
      await half.close()
      await client.query('commit')
      assert.equal(await one(client, 'select $1::int', [6]), 6)
    }),
  )

// Cancels the query of one client, and never those of another. A cancel that comes before its query has
// reached a server cancels nothing.
const cancel = () =>
  busy(1, () =>
    withClient(async (client) => {
      const sleep = client.query(new pg.Query('select pg_sleep($1)', [150]))
      let ended
      const end = new Promise((resolve) => sleep.on('error', resolve).on('end', resolve)).then((e) => {
        ended = e ?? 'the query ended by itself'
      })
      while (!ended) {
        const messenger = new pg.Client(target)
        messenger.on('error', () => {})
        const closed = once(messenger.connection, 'end')
        messenger.cancel(client, sleep)
        await closed
        await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 50))])
      }
      assert.equal(ended.code, '57014', ended)
      assert.equal(await one(client, 'select $1::int', [3]), 3)
    }),
  )

async function settings() {
  const zones = ['Asia/Tokyo', 'America/New_York']
  const noons = ['2020-01-01 12:00:00+09', '2020-01-01 12:00:00-05']
  await withClient((first) =>
    withClient(async (second) => {
      const both = [first, second]
      const schema = (i) => `schema_node_${copy}_${i}`
      for (const [i, client] of both.entries()) {
        await client.query(`drop schema if exists ${schema(i)} cascade; create schema ${schema(i)}`)
        await client.query(`set search_path = ${schema(i)}`)
        await client.query("select set_config('TimeZone', $1, false)", [zones[i]])
        await client.query(`set application_name = 'client ${i}'`)
        await client.query(`create table place as select '${schema(i)}' as name`)
      }
      for (let turn = 0; turn < 10; turn++) {
        for (const [i, client] of both.entries()) {
          const { rows } = await client.query({ name: 'place', text: 'select name from place where $1', values: [true] })
          assert.equal(rows[0].name, schema(i))
          assert.equal(await one(client, 'show timezone'), zones[i])
          assert.equal(await one(client, 'select current_setting($1)', ['application_name']), `client ${i}`)
          assert.equal(await one(client, "select '2020-01-01 12:00'::timestamptz::text"), noons[i])
        }
        await first.query("begin; set timezone = 'UTC'; rollback")
        await first.query("begin; set local timezone = 'UTC'; commit")
      }
      for (const [i, client] of both.entries()) await client.query(`drop schema ${schema(i)} cascade`)
    }),
  )
}

await main({
  connect,
  'tls-require': tlsRequire,
  'tls-verify-full': tlsVerifyFull,
  startup,
  simple,
  parameters,
  prepared,
  'many-statements': manyStatements,
  'close-statement': closeStatement,
  pipeline,
  'pipeline-error': pipelineError,
  transaction,
  'copy-in': data.copyIn,
  'copy-out': data.copyOut,
  'copy-error': data.copyError,
  cancel,
  cursor,
  settings,
  listen: data.listen,
  types: data.types,
  large: data.large,
  pool: data.pool,
  reconnect: data.reconnect,
})
