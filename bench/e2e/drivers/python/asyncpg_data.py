"""The paths of asyncpg that are about data, and the program that runs them all."""

import asyncio
import datetime
import decimal
import io
import json
import uuid

import asyncpg

import asyncpg_paths as p
import paths
from asyncpg_paths import busy, dial, fails, table
from paths import COPY, MIB, same


async def copy_in():
    async with busy(2), dial() as conn, table(conn, "goods", "id int, name text") as name:
        rows = [(i, f"name\t{i}") for i in range(3000)]
        same("binary", await conn.copy_records_to_table(name, records=rows), "COPY 3000")
        text = "".join(f"{i},name\t{i}\n" for i in range(3000, 5000)).encode()
        same("csv", await conn.copy_to_table(name, source=io.BytesIO(text), format="csv"), "COPY 2000")
        same("rows", await conn.fetchval(f"select count(*) from {name} where name = e'name\\t' || id"), 5000)


async def copy_out():
    async with busy(2), dial() as conn:
        out = io.BytesIO()
        await conn.copy_from_query("select i, 'name ' || i from generate_series(1, $1::int) i", 3000, output=out)
        same("text", out.getvalue(), "".join(f"{i}\tname {i}\n" for i in range(1, 3001)).encode())
        out = io.BytesIO()
        await conn.copy_from_query("select 7::int", output=out, format="binary")
        same("binary", out.getvalue(), b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\1\0\0\0\4\0\0\0\7\xff\xff")


async def copy_error():
    async with dial() as conn, table(conn, "spoilt", "id int") as name:

        async def broken():
            yield b"1\n"
            raise ZeroDivisionError

        for _ in range(3):
            await fails("22P02", conn.copy_to_table(name, source=io.BytesIO(b"1\n2\nx\n")))
            try:
                await conn.copy_to_table(name, source=broken())
                raise AssertionError("a broken copy succeeded")
            except ZeroDivisionError:
                pass
            same("rows", await conn.fetchval(f"select count(*) from {name}"), 0)


async def types():
    """Values go in binary; of a type of the user's own asyncpg asks the server first."""
    when = datetime.datetime(2026, 2, 28, 23, 59, 59, 999999, datetime.timezone.utc)
    async with dial() as conn:
        await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        mood = f"mood_asyncpg_{COPY}"
        await conn.execute(f"drop type if exists {mood}; create type {mood} as enum ('sad', 'glad')")
        for name, value in {
            "int2": -32768, "int8": -1 << 63, "float8": -0.1, "bool": True, "text": paths.MANY_LETTERS, "bytea": paths.ALL_BYTES,
            "int4[]": [1, -2, None], "text[]": ["a", "", '{"b",}', "NULL"], "timestamptz": when,
            "numeric": decimal.Decimal("12345678901234567890.12345"), "uuid": uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
            "interval": datetime.timedelta(days=2, microseconds=3), "date": datetime.date(2026, 2, 28),
            "jsonb": {"a": [1.5, None, "ü"]}, "int4": None, f"{mood}[]": ["glad", "sad"],
        }.items():
            same(name, await conn.fetchval(f"select $1::{name}", value), value)
        await conn.execute(f"drop type {mood}")


async def large():
    async with dial() as conn:
        for _ in range(6):
            same("bytea", await conn.fetchval("select $1::bytea", MIB) == MIB, True)
        text = "0123456789abcdef" * (1 << 16)
        same("in the text", await conn.fetchval(f"select '{text}'") == text, True)


async def reconnect():
    for i in range(20):
        async with dial() as conn:
            same("select", await conn.fetchval("select $1::int", i), i)
    async with dial() as conn:
        try:
            await conn.fetchval("select pg_terminate_backend(pg_backend_pid())")
            raise AssertionError("the server's end went unnoticed")
        except asyncpg.ConnectionDoesNotExistError as e:
            same("why", "terminating connection due to administrator command" in str(e), True)
        try:
            await conn.fetchval("select 1")
            raise AssertionError("the connection goes on after its server's end")
        except (asyncpg.InterfaceError, asyncpg.ConnectionDoesNotExistError):
            pass
    async with dial() as conn:
        same("select", await conn.fetchval("select $1::int", 5), 5)


if __name__ == "__main__":
    paths.main(
        lambda path: asyncio.run(path()), p.connect, p.tls_require, p.tls_verify_full, p.startup, p.simple, p.parameters,
        p.prepared, p.many_statements, p.close_statement, p.schema_change, p.pipeline, p.pipeline_error, p.transaction,
        copy_in, copy_out, copy_error, p.cancel, p.cursor, p.settings, p.pool, p.listen, types, large, reconnect,
    )
