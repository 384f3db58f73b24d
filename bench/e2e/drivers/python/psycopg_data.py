"""The paths of psycopg 3 that are about data, and the program that runs them all."""

import contextlib
import datetime
import decimal
import uuid

import psycopg
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

import paths
import psycopg_paths as p
from paths import MIB, Busy, fails, same
from psycopg_paths import dial, neighbour, one, table


def copy_in():
    with dial() as conn, Busy(2, neighbour), table(conn, "goods", "id int, name text") as name:
        with conn.cursor().copy(f"copy {name} from stdin") as copy:
            for i in range(2000):
                copy.write_row([i, f"name\t{i}"])
        with conn.cursor().copy(f"copy {name} from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            for i in range(2000, 4000):
                copy.write_row([i, f"name\t{i}"])
        same("rows", one(conn, f"select count(*) from {name} where name = e'name\\t' || id"), 4000)


def copy_out():
    with dial() as conn, Busy(2, neighbour):
        want = [(i, f"name {i}") for i in range(1, 3001)]
        for form in "text", "binary":
            with conn.cursor().copy(f"copy (select i, 'name ' || i from generate_series(1, 3000) i) to stdout (format {form})") as copy:
                copy.set_types(["int4", "text"])
                same(form, list(copy.rows()), want)


def copy_error():
    with dial() as conn, table(conn, "spoilt", "id int") as name:

        def copy(text):
            with conn.cursor().copy(f"copy {name} from stdin") as copy:
                copy.write(text)

        def give_up():
            with conn.cursor().copy(f"copy {name} from stdin") as copy:
                copy.write("1\n")
                raise ZeroDivisionError

        def read_some():  # psycopg cancels the rest
            with conn.cursor().copy("copy (select generate_series(1, 1000000000)) to stdout") as copy:
                same("first", bytes(copy.read()), b"1\n")
                raise ZeroDivisionError

        for _ in range(3):
            fails("22P02", copy, "1\n2\nx\n")
            try:
                give_up()
            except ZeroDivisionError:
                pass
            try:
                read_some()
            except ZeroDivisionError:
                pass
            same("rows", one(conn, f"select count(*) from {name}"), 0)


def types():
    when = datetime.datetime(2026, 2, 28, 23, 59, 59, 999999, datetime.timezone.utc)
    values = {
        "int2": -32768, "int8": -1 << 63, "float8": -0.1, "bool": True, "text": paths.MANY_LETTERS, "bytea": paths.ALL_BYTES,
        "int4[]": [1, -2, None], "text[]": ["a", "", '{"b",}', "NULL"], "timestamptz": when,
        "numeric": decimal.Decimal("12345678901234567890.12345"), "uuid": uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        "interval": datetime.timedelta(days=2, microseconds=3), "date": datetime.date(2026, 2, 28), "int4range": Range(1, 5),
    }
    with dial() as conn:
        for binary in False, True:
            for name, value in values.items():
                same(name, one(conn, f"select %s::{name}", [value], binary=binary), value)
            document = {"a": [1.5, None, "ü"]}
            same("jsonb", one(conn, "select %s::jsonb", [Jsonb(document)], binary=binary), document)
            same("null", one(conn, "select %s::int", [None], binary=binary), None)


def large():
    with dial() as conn:
        for _ in range(6):
            same("bytea", one(conn, "select %b::bytea", [MIB], binary=True) == MIB, True)
        text = "0123456789abcdef" * (1 << 16)
        same("in the text", one(conn, f"select '{text}'") == text, True)
        same("length", one(conn, "select length(%s)", [text]), 1 << 20)


def reconnect():
    for i in range(20):
        with dial() as conn:
            same("select", one(conn, "select %s::int", [i]), i)
    with contextlib.closing(dial()) as conn:
        fails("57P01", conn.execute, "select pg_terminate_backend(pg_backend_pid())")
        try:
            conn.execute("select 1")
            raise AssertionError("the connection goes on after its server's end")
        except psycopg.OperationalError:
            same("closed", conn.closed, True)
    with dial() as conn:
        same("select", one(conn, "select %s::int", [5]), 5)


if __name__ == "__main__":
    paths.main(
        lambda path: path(), p.connect, p.tls_require, p.tls_verify_full, p.startup, p.simple, p.parameters, p.prepared,
        p.many_statements, p.close_statement, p.schema_change, p.pipeline, p.pipeline_error, p.transaction, copy_in, copy_out, copy_error,
        p.cancel, p.cursor, p.settings, p.listen, types, large, reconnect,
    )
