// Runs the paths of a driver one after another and says how each went. The program that uses it keeps to
// the README of the folder above.

import assert from 'node:assert/strict'
import pg from 'pg'

const environment = process.env

export const target = {
  host: environment.TARGET_HOST,
  port: Number(environment.TARGET_PORT),
  user: environment.TARGET_USER,
  password: environment.TARGET_PASSWORD,
  database: environment.TARGET_DATABASE,
  ssl: false,
  connectionTimeoutMillis: 20_000,
}
export const ca = environment.TARGET_CA
export const copy = environment.TARGET_COPY // the names of what this run creates have it in them
const shared = environment.TARGET_SHARED === '1' // statements have to be seen on several servers

const wanted = (environment.TARGET_PATHS ?? '').split(' ').filter(Boolean) // names of paths; none: all

const limit = 180_000 // milliseconds for one path

// Runs the paths, functions by name, and ends the program.
export async function main(paths) {
  let failed = false
  for (const [name, path] of Object.entries(paths)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${limit} ms`)), limit)
    })
    try {
      await Promise.race([path(), late])
      console.log(`ok ${name}`)
    } catch (e) {
      failed = true
      const own = (e.stack ?? '').split('\n').filter((line) => line.includes('/node/') && !line.includes('node_modules'))
      console.log(`FAIL ${name} ${e.code ?? ''} ${e.message} ${own.map((line) => line.split('/').pop()).join(' ')}`.replaceAll('\n', ' '))
    } finally {
      clearTimeout(timer)
    }
  }
  process.exit(failed ? 1 : 0)
}

// Gives use a client that is connected, and ends it afterwards.
export async function withClient(use, more = {}) {
  const client = new pg.Client({ ...target, ...more })
  client.on('error', () => {}) // said again by the query that it concerns
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

// The single value of a query.
export async function one(client, text, values) {
  const { rows } = await client.query({ text, values, rowMode: 'array' })
  return rows[0][0]
}

// Waits for what has to end with the server's error of that SQLSTATE.
export async function fails(code, promise) {
  await assert.rejects(promise, { code })
}

// Whether a statement was done by as many servers as it should.
export function moved(pids) {
  return !shared || new Set(pids).size > 1
}

// Runs use while count clients do short transactions.
export async function busy(count, use) {
  let going = true
  let runs = 0
  const neighbour = () =>
    withClient(async (client) => {
      while (going) {
        await client.query('begin')
        assert.equal(await one(client, 'select $1::text from pg_sleep(0.002)', ['n']), 'n')
        await client.query('commit')
        runs++
      }
    })
  const all = Array.from({ length: count }, neighbour)
  try {
    // A neighbour that fails ends the path; one that succeeds ends with it.
    await Promise.race([use(), ...all.map((n) => n.then(() => new Promise(() => {})))])
  } finally {
    going = false
    await Promise.all(all)
  }
  assert.ok(runs > 0, 'the neighbours did nothing')
}

// Gives use the name of an empty table of this run.
export async function withTable(client, name, columns, use) {
  name = `${name}_node_${copy}`
  await client.query(`drop table if exists ${name}`)
  await client.query(`create table ${name} (${columns})`)
  await use(name)
  await client.query(`drop table ${name}`)
}
