"""The common paths of psycopg 3."""

import contextlib
import threading

import psycopg
from psycopg import sql

import paths
from paths import COPY, Busy, fails, moved, same


def dial(**more):
    words = dict(
        host=paths.HOST, port=paths.PORT, user=paths.USER, password=paths.PASSWORD, dbname=paths.DATABASE,
        sslmode="disable", connect_timeout=90, autocommit=True,
    )
    return psycopg.connect(**(words | more))


def one(conn, text, args=None, **named):
    return conn.execute(text, args, **named).fetchone()[0]


@contextlib.contextmanager
def neighbour():
    with dial() as conn:

        def work():
            with conn.transaction():
                same("neighbour", one(conn, "select %s::text from pg_sleep(0.002)", ["n"]), "n")

        yield work


@contextlib.contextmanager
def table(conn, name, columns):
    name = f"{name}_psycopg_{COPY}"
    conn.execute(f"drop table if exists {name}")
    conn.execute(f"create table {name} ({columns})")
    yield name
    conn.execute(f"drop table {name}")


def connect():
    with dial() as conn:
        same("current_user", one(conn, "select current_user"), paths.USER)
        same("database", one(conn, "select current_database()"), paths.DATABASE)
    try:
        dial(password="wrong")
        raise AssertionError("a wrong password was taken")
    except psycopg.OperationalError as e:
        if "password authentication failed" not in str(e):
            raise


def tls_require():
    with dial(sslmode="require") as conn:
        same("encrypted", conn.pgconn.ssl_in_use, True)
        same("an answer over TLS", one(conn, "select %s::int + 1", [1]), 2)


def tls_verify_full():
    with dial(sslmode="verify-full", sslrootcert=paths.CA) as conn:
        same("encrypted", conn.pgconn.ssl_in_use, True)
        same("an answer over TLS", one(conn, "select %s::int + 1", [1]), 2)
    # The proof of a password that is bound to this very channel, which only its end can give.
    with dial(sslmode="verify-full", sslrootcert=paths.CA, channel_binding="require") as conn:
        same("an answer over TLS", one(conn, "select %s::int + 1", [1]), 2)
    try:
        dial(sslmode="verify-full", sslrootcert="system")
        raise AssertionError("a certificate of nobody was taken")
    except psycopg.OperationalError as e:
        if "certificate" not in str(e):
            raise


def startup():
    options = "-c geqo=off -c statement_timeout=54321 -c TimeZone=Asia/Tokyo -c DateStyle=SQL,DMY"
    with dial(application_name="first words", options=options) as conn, dial() as other:
        for _ in range(3):
            for name, want in {
                "application_name": "first words", "geqo": "off", "statement_timeout": "54321ms",
                "TimeZone": "Asia/Tokyo", "DateStyle": "SQL, DMY",
            }.items():
                same(name, one(conn, "select current_setting(%s)", [name]), want)
            same("statement_timeout of another", one(other, "show statement_timeout"), "0")
        same("reported", conn.info.parameter_status("TimeZone"), "Asia/Tokyo")


def simple():
    with dial() as conn:
        cur = conn.execute("select 1; select 'two', 2; select 3 where false")
        results = [cur.fetchall()]
        while cur.nextset():
            results.append(cur.fetchall())
        same("results", results, [[(1,)], [("two", 2)], []])
        client = psycopg.ClientCursor(conn)
        same("merged", client.execute("select %s || 'b'", ["it's a\\"]).fetchone()[0], "it's a\\b")
        fails("22012", conn.execute, "select 1; select 1/0; select 2")
        same("after an error", one(conn, "select 4"), 4)


def parameters():
    with dial() as conn, Busy(2, neighbour):
        conn.prepare_threshold = None
        for binary in False, True:
            for i in range(60):
                text = "select coalesce(%s::text, 'none') || %s::int"
                same("text", one(conn, text, [f"x{i}", i], binary=binary), f"x{i}{i}")
                same("null", one(conn, text, [None, i], binary=binary), f"none{i}")


def prepared():
    """After five uses psycopg gives a statement a name; prepare=True does it at once."""
    with dial() as conn, Busy(3, neighbour):
        pids, i = [], 0

        def ask(**more):
            total, pid = conn.execute("select %s::int8 + %s::int8, pg_backend_pid()", [i, i * i], **more).fetchone()
            same("sum", total, i + i * i)
            pids.append(pid)

        while i < 60 or not moved(pids):
            with conn.transaction():
                ask()
                ask(prepare=True)
            ask(binary=True)
            i += 1


def many_statements():
    with dial() as conn, Busy(1, neighbour):
        for turn in range(3):
            for i in range(60):
                same("number", one(conn, f"select %s::int + {i}", [turn], prepare=True), turn + i)


def close_statement():
    """psycopg keeps so many statements and no more, and forgets all of them after some commands."""
    with dial() as conn:
        conn.prepared_max = 5
        for turn in range(3):
            for i in range(12):
                same("number", one(conn, f"select %s::int * {i}", [turn], prepare=True), turn * i)
        with table(conn, "forgotten", "a int") as name:
            for _ in range(3):
                same("rows", one(conn, f"select count(*) from {name} where a > %s", [1], prepare=True), 0)
                conn.execute(f"alter table {name} add b int")
                conn.execute(f"alter table {name} drop b")
                with conn.transaction(force_rollback=True):
                    same("rows", one(conn, f"select count(*) from {name} where a > %s", [1], prepare=True), 0)
        conn.execute("deallocate all")
        same("after DEALLOCATE ALL", one(conn, "select %s::int * 7", [2], prepare=True), 14)


def schema_change():
    """A server's own client is told of a change by an error. Where connections are shared, the statement is made anew."""
    with dial() as conn, dial() as other, table(other, "changing", "a int") as name:
        other.execute(f"insert into {name} values (1)")
        for i in range(4):
            if i > 0 and not paths.SHARED:
                fails("0A000", conn.execute, f"select * from {name}", prepare=True)
                conn.execute("deallocate all")
            same("columns", len(conn.execute(f"select * from {name}", prepare=True).fetchone()), i + 1)
            other.execute(f"alter table {name} add column b{i} int")


def pipeline():
    with dial() as conn, Busy(2, neighbour), table(conn, "batch", "n int primary key") as name:
        for turn in range(5):
            with conn.pipeline() as line:
                cursors = []
                for i in range(60):
                    conn.execute(f"insert into {name} values (%s)", [turn * 60 + i])
                    cursors.append(conn.execute("select %s::int * 3", [i]))
                    if i % 20 == 19:
                        line.sync()
                same("answers", [c.fetchone()[0] for c in cursors], [i * 3 for i in range(60)])
        conn.cursor().executemany(f"insert into {name} values (%s)", [[i] for i in range(1000, 1500)])
        same("rows", one(conn, f"select count(*) from {name}"), 800)


def pipeline_error():
    with dial() as conn, table(conn, "broken", "n int primary key") as name:
        for _ in range(5):
            after = conn.cursor()  # the error may be told before it has a turn
            try:
                with conn.pipeline():
                    conn.execute(f"insert into {name} values (%s)", [1])
                    conn.execute(f"insert into {name} values (%s)", [1])
                    after.execute("select %s::int", [3])
                raise AssertionError("a double key was taken")
            except psycopg.errors.UniqueViolation:
                pass
            same("state after it", after.statusmessage, None)
            same("rows", one(conn, f"select count(*) from {name}"), 0)
        with conn.pipeline() as line:
            bad = conn.cursor()
            try:
                bad.execute("select %s::int / 0", [1], prepare=True)
                line.sync()
            except psycopg.errors.DivisionByZero:
                pass
            same("after a Sync", one(conn, "select %s::int", [8]), 8)


def transaction():
    with dial() as conn, Busy(2, neighbour), table(conn, "account", "n int primary key") as name:

        def insert(n):
            conn.execute(f"insert into {name} values (%s)", [n])

        with conn.transaction():
            insert(1)
        with conn.transaction(force_rollback=True):
            insert(2)
            same("within", one(conn, f"select count(*) from {name}"), 2)
        with conn.transaction():
            insert(3)
            try:
                with conn.transaction():
                    insert(4)
                    fails("23505", insert, 1)
                    fails("25P02", conn.execute, "select 1")
                    raise ZeroDivisionError
            except ZeroDivisionError:
                pass
            same("after the savepoint", one(conn, f"select count(*) from {name}"), 2)
        conn.autocommit = False
        insert(5)
        fails("23505", insert, 5)
        conn.commit()  # of what has failed: a rollback
        conn.isolation_level, conn.read_only = psycopg.IsolationLevel.SERIALIZABLE, True
        same("isolation", one(conn, "show transaction_isolation"), "serializable")
        fails("25006", insert, 6)
        conn.rollback()
        conn.isolation_level, conn.read_only, conn.autocommit = None, None, True
        same("in the end", one(conn, f"select string_agg(n::text, ',' order by n) from {name}"), "1,3")


def cursor():
    with dial() as conn, Busy(2, neighbour):
        with conn.transaction(), conn.cursor("piece", scrollable=True) as cur:
            cur.itersize = 70
            cur.execute("select i from generate_series(1, %s::int) i", [1000])
            same("rows", [i for (i,) in cur], list(range(1, 1001)))
            cur.scroll(10, mode="absolute")
            same("row 11", cur.fetchone(), (11,))
        with conn.cursor("held", withhold=True) as cur:
            with conn.transaction():
                cur.execute("select i from generate_series(1, %s::int) i", [300])
            same("rows held", [i for (i,) in cur.fetchall()], list(range(1, 301)))


def cancel():
    with dial() as conn, Busy(1, neighbour):
        ended = threading.Event()
        result = []

        def sleep():
            try:
                conn.execute("select pg_sleep(%s)", [150])
                result.append(None)
            except Exception as e:
                result.append(e)
            ended.set()

        sleeper = threading.Thread(target=sleep, daemon=True)
        sleeper.start()
        # A cancel that comes before its query has reached a server cancels nothing.
        while not ended.wait(0.05):
            conn.cancel_safe(timeout=90)
        sleeper.join()
        paths.wants_state(result[0], "57014")
        for _ in range(10):
            conn.cancel_safe(timeout=90)
        same("the next query", one(conn, "select %s::int", [3]), 3)


def settings():
    zones, noons = ["Asia/Tokyo", "America/New_York"], ["2020-01-01 12:00:00+09", "2020-01-01 12:00:00-05"]
    with dial() as first, dial() as second:
        both = [first, second]
        schemas = [f"schema_psycopg_{COPY}_{i}" for i in range(2)]
        for conn, schema, zone in zip(both, schemas, zones):
            conn.execute(f"drop schema if exists {schema} cascade")
            conn.execute(f"create schema {schema}")
            conn.execute(f"set search_path = {schema}")
            conn.execute("select set_config('TimeZone', %s, false)", [zone])
            conn.execute(f"set application_name = 'client of {schema}'")
            conn.execute(sql.SQL("create table place as select {} as name").format(schema))
        for _ in range(10):
            for conn, schema, zone, noon in zip(both, schemas, zones, noons):
                same("name", one(conn, "select name from place where %s", [True], prepare=True), schema)
                same("TimeZone", one(conn, "show timezone"), zone)
                same("application_name", one(conn, "select current_setting(%s)", ["application_name"]), f"client of {schema}")
                same("noon", one(conn, "select '2020-01-01 12:00'::timestamptz::text"), noon)
                same("zone of values", str(one(conn, "select now()").tzinfo), zone)
            with first.transaction(force_rollback=True):
                first.execute("set timezone = 'UTC'")
            with first.transaction():
                first.execute("set local timezone = 'UTC'")
        for conn, schema in zip(both, schemas):
            conn.execute(f"drop schema {schema} cascade")


def listen():
    with dial() as ear, dial() as mouth:
        channel = f"news_psycopg_{COPY}"
        ear.execute(f"listen {channel}")
        for i in range(3):
            mouth.execute("select pg_notify(%s, %s)", [channel, f"it rains ({i})"])
            heard = list(ear.notifies(timeout=90, stop_after=1))
            same("heard", [(n.channel, n.payload) for n in heard], [(channel, f"it rains ({i})")])
            same("in between", one(ear, "select %s::int", [i]), i)
        ear.execute(f"unlisten {channel}")
