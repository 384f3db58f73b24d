"""The common paths of asyncpg."""

import asyncio
import contextlib
import ssl

import asyncpg

import paths
from paths import COPY, moved, same


def words(**more):
    return dict(
        host=paths.HOST, port=paths.PORT, user=paths.USER, password=paths.PASSWORD, database=paths.DATABASE, ssl=False,
        timeout=90,
    ) | more


@contextlib.asynccontextmanager
async def dial(**more):
    conn = await asyncpg.connect(**words(**more))
    try:
        yield conn
    finally:
        await conn.close(timeout=90)


async def fails(code, awaitable):
    try:
        await awaitable
    except asyncpg.PostgresError as e:
        paths.wants_state(e, code)
        return
    raise AssertionError(f"no error, want SQLSTATE {code}")


@contextlib.asynccontextmanager
async def busy(count):
    """Clients that run short transactions while a path goes on."""
    stop, runs = asyncio.Event(), 0

    async def neighbour():
        nonlocal runs
        async with dial() as conn:
            while not stop.is_set():
                async with conn.transaction():
                    same("neighbour", await conn.fetchval("select $1::text from pg_sleep(0.002)", "n"), "n")
                runs += 1

    all_of_them = [asyncio.create_task(neighbour()) for _ in range(count)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*all_of_them)
    same("neighbours at work", runs >= count, True)


@contextlib.asynccontextmanager
async def table(conn, name, columns):
    name = f"{name}_asyncpg_{COPY}"
    await conn.execute(f"drop table if exists {name}")
    await conn.execute(f"create table {name} ({columns})")
    yield name
    await conn.execute(f"drop table {name}")


async def connect():
    async with dial() as conn:
        same("current_user", await conn.fetchval("select current_user"), paths.USER)
        same("database", await conn.fetchval("select current_database()"), paths.DATABASE)
    await fails("28P01", asyncpg.connect(**words(password="wrong")))


async def tls_require():
    async with dial(ssl="require") as conn:
        same("encrypted", conn._transport.get_extra_info("ssl_object") is not None, True)
        same("an answer over TLS", await conn.fetchval("select $1::int + 1", 1), 2)


async def tls_verify_full():
    trust = ssl.create_default_context(cafile=paths.CA)
    async with dial(ssl=trust, direct_tls=False) as conn:
        same("an answer over TLS", await conn.fetchval("select $1::int + 1", 1), 2)
    try:
        await asyncpg.connect(**words(ssl=ssl.create_default_context()))
        raise AssertionError("a certificate of nobody was taken")
    except ssl.SSLCertVerificationError:
        pass


async def startup():
    wanted = {
        "application_name": "first words", "geqo": "off", "statement_timeout": "54321ms", "TimeZone": "Asia/Tokyo",
        "search_path": "pg_catalog", "extra_float_digits": "1",
    }
    async with dial(server_settings=wanted) as conn, dial() as other:
        for _ in range(3):
            for name, want in wanted.items():
                same(name, await conn.fetchval("select current_setting($1)", name), want)
            same("statement_timeout of another", await other.fetchval("show statement_timeout"), "0")
        same("reported", conn.get_settings().TimeZone, "Asia/Tokyo")


async def simple():
    async with dial() as conn:
        same("tag", await conn.execute("select 1; select generate_series(1, 3)"), "SELECT 3")
        await fails("22012", conn.execute("select 1; select 1/0; select 2"))
        same("after an error", await conn.fetchval("select 4"), 4)


async def parameters():
    """Without a cache asyncpg prepares each statement without a name and asks for its types first."""
    async with busy(2), dial(statement_cache_size=0) as conn:
        for i in range(60):
            text = "select coalesce($1::text, 'none') || $2::int"
            same("text", await conn.fetchval(text, f"x{i}", i), f"x{i}{i}")
            same("null", await conn.fetchval(text, None, i), f"none{i}")


async def prepared():
    async with busy(3), dial() as conn:
        statement = await conn.prepare("select $1::int8 + $2::int8, pg_backend_pid()")
        pids, i = [], 0

        async def ask():
            total, pid = await statement.fetchrow(i, i * i)
            same("sum", total, i + i * i)
            pids.append(pid)

        while i < 60 or not moved(pids):
            async with conn.transaction():
                await ask()
                await ask()
            await ask()
            same("from the cache", await conn.fetchval("select $1::int8 * 2", i), 2 * i)
            i += 1


async def many_statements():
    async with busy(1), dial() as conn:
        statements = [await conn.prepare(f"select $1::int + {i}") for i in range(60)]
        for turn in range(3):
            for i, statement in enumerate(statements):
                same("number", await statement.fetchval(turn), turn + i)


async def close_statement():
    """A small cache has asyncpg close statements all the time."""
    async with dial(statement_cache_size=5) as conn:
        for turn in range(4):
            for i in range(12):
                same("number", await conn.fetchval(f"select $1::int * {i}", turn), turn * i)
        await conn.execute("deallocate all")
        try:
            await conn.fetchval("select $1::int * 11", 1)
            raise AssertionError("a statement outlived DEALLOCATE ALL")
        except asyncpg.InvalidSQLStatementNameError:
            pass
        await conn.reload_schema_state()  # forgets its cache
        same("prepared anew", await conn.fetchval("select $1::int * 11", 1), 11)


async def schema_change():
    """asyncpg prepares a statement anew, by itself, when the server says that its result has changed."""
    async with dial() as conn, dial() as other, table(other, "changing", "a int") as name:
        await other.execute(f"insert into {name} values (1)")
        for i in range(4):
            same("columns", len(await conn.fetchrow(f"select * from {name}")), i + 1)
            await other.execute(f"alter table {name} add column b{i} int")


async def pipeline():
    """executemany sends all rows at once, as one transaction."""
    async with busy(2), dial() as conn, table(conn, "batch", "n int primary key, t text") as name:
        await conn.executemany(f"insert into {name} values ($1, $2)", [(i, "x" * i) for i in range(2000)])
        same("rows", await conn.fetchval(f"select count(*) from {name} where length(t) = n"), 2000)
        got = await conn.fetchmany(f"insert into {name} values ($1, $2) returning n", [(i, "") for i in range(3000, 3100)])
        same("rows returned", [r["n"] for r in got], list(range(3000, 3100)))


async def pipeline_error():
    async with dial() as conn, table(conn, "broken", "n int primary key") as name:
        for _ in range(5):
            await fails("23505", conn.executemany(f"insert into {name} values ($1)", [[1], [2], [1], [3]]))
            same("rows", await conn.fetchval(f"select count(*) from {name}"), 0)


async def transaction():
    async with busy(2), dial() as conn, table(conn, "account", "n int primary key") as name:

        async def insert(n):
            await conn.execute(f"insert into {name} values ($1)", n)

        async with conn.transaction():
            await insert(1)
        undone = conn.transaction()
        await undone.start()
        await insert(2)
        same("within", await conn.fetchval(f"select count(*) from {name}"), 2)
        await undone.rollback()
        async with conn.transaction():
            await insert(3)
            inner = conn.transaction()
            await inner.start()
            await insert(4)
            await fails("23505", insert(1))
            await fails("25P02", conn.execute("select 1"))
            await inner.rollback()
            same("after the savepoint", await conn.fetchval(f"select count(*) from {name}"), 2)
        failed = conn.transaction()
        await failed.start()
        await insert(5)
        await fails("23505", insert(5))
        await failed.rollback()
        async with conn.transaction(isolation="serializable", readonly=True):
            same("isolation", await conn.fetchval("show transaction_isolation"), "serializable")
        same("in the end", await conn.fetchval(f"select string_agg(n::text, ',' order by n) from {name}"), "1,3")


async def cancel():
    """asyncpg cancels what a task waits for when the task ends. A notice says that the query has begun."""
    async with busy(1), dial() as conn:
        for _ in range(3):
            begun = asyncio.Event()
            conn.add_log_listener(lambda _, message: begun.set())
            task = asyncio.create_task(conn.execute("do $$ begin raise notice 'begun'; perform pg_sleep(150); end $$"))
            await asyncio.wait_for(begun.wait(), 20)
            task.cancel()
            try:
                await task
                raise AssertionError("the query was not cancelled")
            except asyncio.CancelledError:
                pass
            same("the next query", await asyncio.wait_for(conn.fetchval("select $1::int", 3), 20), 3)
            try:
                await conn.fetchval("select pg_sleep($1)", 150, timeout=0.3)
                raise AssertionError("the query had time enough")
            except asyncio.TimeoutError:
                pass
            same("the next query", await asyncio.wait_for(conn.fetchval("select $1::int", 4), 20), 4)


async def cursor():
    async with busy(2), dial() as conn:
        async with conn.transaction():
            got = [r[0] async for r in conn.cursor("select i from generate_series(1, $1::int) i", 1000, prefetch=70)]
            same("rows", got, list(range(1, 1001)))
            piece = await conn.cursor("select i from generate_series(1, $1::int) i", 1000)
            same("first", [r[0] for r in await piece.fetch(5)], [1, 2, 3, 4, 5])
            await piece.forward(10)
            same("another query between", await conn.fetchval("select $1::int", 6), 6)
            same("row 16", (await piece.fetchrow())[0], 16)


async def settings():
    zones, noons = ["Asia/Tokyo", "America/New_York"], ["2020-01-01 12:00:00+09", "2020-01-01 12:00:00-05"]
    async with dial() as first, dial() as second:
        both = [first, second]
        schemas = [f"schema_asyncpg_{COPY}_{i}" for i in range(2)]
        for conn, schema, zone in zip(both, schemas, zones):
            await conn.execute(f"drop schema if exists {schema} cascade; create schema {schema}")
            await conn.execute(f"set search_path = {schema}; set timezone = '{zone}'")
            await conn.execute(f"set application_name = 'client of {schema}'")
            await conn.execute(f"create table place as select '{schema}' as name")
        for _ in range(10):
            for conn, schema, zone, noon in zip(both, schemas, zones, noons):
                same("name", await conn.fetchval("select name from place where $1", True), schema)
                same("TimeZone", await conn.fetchval("show timezone"), zone)
                same("application_name", await conn.fetchval("select current_setting($1)", "application_name"), f"client of {schema}")
                same("noon", await conn.fetchval("select '2020-01-01 12:00'::timestamptz::text"), noon)
                same("reported", conn.get_settings().TimeZone, zone)
            await first.execute("begin; set timezone = 'UTC'; rollback")
            await first.execute("begin; set local timezone = 'UTC'; commit")
        for conn, schema in zip(both, schemas):
            await conn.execute(f"drop schema {schema} cascade")


async def pool():
    """asyncpg's own pool resets what a client leaves behind: settings, cursors, locks, listening."""
    async with asyncpg.create_pool(**words(min_size=2, max_size=4)) as all_of_them:

        async def client(i):
            async with all_of_them.acquire() as conn:
                same("TimeZone before", await conn.fetchval("show timezone"), "UTC")
                await conn.execute("set timezone = 'Asia/Tokyo'")
                same("TimeZone", await conn.fetchval("show timezone"), "Asia/Tokyo")
                async with conn.transaction():
                    return await conn.fetchval("select $1::int + 1 from pg_sleep(0.002)", i)

        got = await asyncio.gather(*[client(i) for i in range(40)])
        same("answers", got, list(range(1, 41)))


async def listen():
    async with dial() as ear, dial() as mouth:
        channel = f"news_asyncpg_{COPY}"
        heard = asyncio.Queue()
        hear = lambda conn, pid, channel, payload: heard.put_nowait((channel, payload))
        await ear.add_listener(channel, hear)
        for i in range(3):
            await mouth.execute("select pg_notify($1, $2)", channel, f"it rains ({i})")
            same("heard", await asyncio.wait_for(heard.get(), 20), (channel, f"it rains ({i})"))
            same("in between", await ear.fetchval("select $1::int", i), i)
        await ear.remove_listener(channel, hear)
