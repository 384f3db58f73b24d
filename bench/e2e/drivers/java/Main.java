import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TimeZone;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.postgresql.PGConnection;

/** The common paths of pgjdbc. */
public final class Main {
    private Main() {}

    public static void main(String[] args) throws InterruptedException {
        Paths.add("connect", Main::connect);
        Paths.add("tls-require", Main::tlsRequire);
        Paths.add("tls-verify-full", Main::tlsVerifyFull);
        Paths.add("startup", Main::startup);
        Paths.add("simple", Main::simple);
        Paths.add("parameters", Main::parameters);
        Paths.add("prepared", Main::prepared);
        Paths.add("many-statements", Main::manyStatements);
        Paths.add("close-statement", Main::closeStatement);
        Paths.add("transaction", Main::transaction);
        Paths.add("cancel", Main::cancel);
        Paths.add("cursor", Main::cursor);
        Paths.add("settings", Main::settings);
        Paths.add("autosave", Main::autosave);
        Data.addAll();
        Paths.runAll();
    }

    private static void connect() throws Exception {
        try (Connection c = Paths.dial()) {
            Paths.asks(Paths.USER, c, "select current_user::text");
            Paths.asks(Paths.DATABASE, c, "select current_database()::text");
        }
        Paths.fails("28P01", () -> Paths.dial("password", "wrong"));
    }

    private static void tlsRequire() throws Exception {
        try (Connection c = Paths.dial("sslmode", "require")) {
            Paths.asks(2, c, "select ?::int + 1", 1);
        }
    }

    private static void tlsVerifyFull() throws Exception {
        try (Connection c = Paths.dial("sslmode", "verify-full", "sslrootcert", Paths.CA, "channelBinding", "require")) {
            Paths.asks(2, c, "select ?::int + 1", 1);
        }
        Paths.fails("08006", () -> Paths.dial("sslmode", "verify-full", "sslfactory", "org.postgresql.ssl.DefaultJavaSSLFactory"));
    }

    /** The driver sends TimeZone, DateStyle and extra_float_digits with each startup. */
    private static void startup() throws Exception {
        TimeZone before = TimeZone.getDefault();
        TimeZone.setDefault(TimeZone.getTimeZone("Asia/Tokyo"));
        try (Connection c = Paths.dial("ApplicationName", "first words", "assumeMinServerVersion", "9.4", "currentSchema", "pg_catalog,public",
                        "options", "-c geqo=off -c statement_timeout=54321 -c extra_float_digits=1");
                Connection other = Paths.dial()) {
            for (int i = 0; i < 3; i++) {
                for (var e : Map.of("application_name", "first words", "TimeZone", "Asia/Tokyo", "DateStyle", "ISO, MDY", "geqo", "off",
                        "statement_timeout", "54321ms", "search_path", "pg_catalog,public", "client_encoding", "UTF8").entrySet()) {
                    Paths.asks(e.getValue(), c, "select current_setting(?)", e.getKey());
                }
                Paths.asks("0", other, "select current_setting(?)", "statement_timeout");
            }
        } finally {
            TimeZone.setDefault(before);
        }
    }

    private static void simple() throws Exception {
        try (Connection c = Paths.dial("preferQueryMode", "simple"); Statement s = c.createStatement()) {
            Paths.same("first is rows", s.execute("select 1; select 'two', 2; select 3 where false"), true);
            Paths.same("second is rows", s.getMoreResults(), true);
            s.getResultSet().next();
            Paths.same("second", s.getResultSet().getString(1), "two");
            Paths.fails("22012", () -> s.execute("select 1; select 1/0; select 2"));
            Paths.asks("it's a\\b", c, "select ? || 'b'", "it's a\\");
        }
    }

    private static void parameters() throws Exception {
        try (Paths.Busy b = new Paths.Busy(2); Connection c = Paths.dial("prepareThreshold", "0")) {
            for (int i = 0; i < 60; i++) {
                Paths.asks("x" + i + i, c, "select coalesce(?::text, 'none') || ?::int", "x" + i, i);
                Paths.asks("none" + i, c, "select coalesce(?::text, 'none') || ?::int", null, i);
            }
        }
    }

    /** The driver gives a statement a name when it is used for the fifth time. */
    private static void prepared() throws Exception {
        try (Paths.Busy b = new Paths.Busy(3);
                Connection c = Paths.dial();
                PreparedStatement sum = c.prepareStatement("select ?::int8 + ?::int8, pg_backend_pid()")) {
            Set<Integer> pids = new HashSet<>();
            for (long i = 0; i < 60 || !Paths.moved(pids); i++) {
                c.setAutoCommit(false);
                add(sum, i, pids);
                add(sum, -i, pids);
                c.commit();
                c.setAutoCommit(true);
                add(sum, 2 * i, pids);
            }
        }
    }

    private static void add(PreparedStatement sum, long i, Set<Integer> pids) throws SQLException {
        sum.setLong(1, i);
        sum.setLong(2, i * i);
        try (ResultSet r = sum.executeQuery()) {
            r.next();
            Paths.same("sum", r.getLong(1), i + i * i);
            pids.add(r.getInt(2));
        }
    }

    private static void manyStatements() throws Exception {
        try (Paths.Busy b = new Paths.Busy(1); Connection c = Paths.dial("prepareThreshold", "1")) {
            List<PreparedStatement> all = new ArrayList<>();
            for (int i = 0; i < 60; i++) {
                all.add(c.prepareStatement("select ?::int + " + i));
            }
            for (int turn = 0; turn < 3; turn++) {
                for (int i = 0; i < 60; i++) {
                    Paths.wants(turn + i, all.get(i), turn);
                }
            }
        }
    }

    /** A small cache has the driver close statements all the time; DEALLOCATE ALL has it prepare all anew. */
    private static void closeStatement() throws Exception {
        try (Connection c = Paths.dial("prepareThreshold", "1", "preparedStatementCacheQueries", "5")) {
            for (int turn = 0; turn < 4; turn++) {
                for (int i = 0; i < 12; i++) {
                    Paths.asks(turn * i, c, "select ?::int * " + i, turn);
                }
            }
            Paths.run(c, "deallocate all");
            Paths.asks(22, c, "select ?::int * 11", 2);
            Paths.run(c, "discard all");
            Paths.asks(33, c, "select ?::int * 11", 3);
        }
    }

    private static void transaction() throws Exception {
        try (Paths.Busy b = new Paths.Busy(2); Connection c = Paths.dial()) {
            String name = Paths.table(c, "account", "n int primary key");
            PreparedStatement insert = c.prepareStatement("insert into " + name + " values (?)");
            c.setAutoCommit(false);
            put(insert, 1);
            c.commit();
            put(insert, 2);
            Paths.asks(2, c, "select count(*)::int from " + name);
            c.rollback();
            put(insert, 3);
            Savepoint here = c.setSavepoint("here");
            put(insert, 4);
            Paths.fails("23505", () -> put(insert, 1));
            Paths.fails("25P02", () -> Paths.run(c, "select 1"));
            c.rollback(here);
            Paths.asks(2, c, "select count(*)::int from " + name);
            c.commit();
            put(insert, 5);
            Paths.fails("23505", () -> put(insert, 5));
            c.commit(); // of what has failed: a rollback
            c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            c.setReadOnly(true);
            Paths.asks("serializable", c, "select current_setting('transaction_isolation')");
            Paths.fails("25006", () -> put(insert, 6));
            c.rollback();
            c.setReadOnly(false);
            c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            c.setAutoCommit(true);
            Paths.asks("1,3", c, "select string_agg(n::text, ',' order by n) from " + name);
            Paths.run(c, "drop table " + name);
        }
    }

    private static void put(PreparedStatement insert, int n) throws SQLException {
        insert.setInt(1, n);
        Paths.same("rows", insert.executeUpdate(), 1);
    }

    /** With autosave the driver sets a savepoint before each statement, and goes back to it after an error. */
    private static void autosave() throws Exception {
        for (String mode : new String[] {"always", "conservative"}) {
            try (Paths.Busy b = new Paths.Busy(2); Connection c = Paths.dial("autosave", mode, "prepareThreshold", "1")) {
                String name = Paths.table(c, "saved", "n int primary key");
                c.setAutoCommit(false);
                PreparedStatement insert = c.prepareStatement("insert into " + name + " values (?)");
                PreparedStatement all = c.prepareStatement("select * from " + name);
                put(insert, 1);
                if (mode.equals("always")) {
                    Paths.fails("23505", () -> put(insert, 1));
                }
                put(insert, 2);
                Paths.wants(1, all);
                Paths.run(c, "alter table " + name + " add column t text");
                Paths.wants(1, all); // prepared anew by the driver, after going back
                Paths.run(c, "drop table " + name);
                c.commit();
            }
        }
    }

    private static void cancel() throws Exception {
        try (Paths.Busy b = new Paths.Busy(1); Connection c = Paths.dial(); Statement s = c.createStatement()) {
            Future<?> sleep = Paths.start(() -> Paths.fails("57014", () -> s.execute("select pg_sleep(150)")));
            // A cancel that comes before its query has reached a server cancels nothing.
            for (boolean over = false; !over; ) {
                ((PGConnection) c).cancelQuery();
                try {
                    sleep.get(50, TimeUnit.MILLISECONDS);
                    over = true;
                } catch (TimeoutException e) {
                    over = false;
                }
            }
            for (int i = 0; i < 10; i++) {
                ((PGConnection) c).cancelQuery();
            }
            Paths.asks(3, c, "select ?::int", 3);
            s.setQueryTimeout(1);
            Paths.fails("57014", () -> s.execute("select pg_sleep(150)"));
            Paths.asks(4, c, "select ?::int", 4);
        }
    }

    /** With a fetch size, within a transaction, rows come by a portal, so many at a time. */
    private static void cursor() throws Exception {
        try (Paths.Busy b = new Paths.Busy(2); Connection c = Paths.dial()) {
            c.setAutoCommit(false);
            for (int turn = 0; turn < 6; turn++) {
                try (PreparedStatement s = c.prepareStatement("select i from generate_series(1, ?) i")) {
                    s.setFetchSize(70);
                    s.setInt(1, 1000);
                    int want = 1;
                    try (ResultSet r = s.executeQuery()) {
                        while (r.next()) {
                            Paths.same("row", r.getInt(1), want++);
                            if (want % 300 == 0) {
                                Paths.asks(want, c, "select ?::int", want);
                            }
                        }
                    }
                    Paths.same("rows", want, 1001);
                }
                c.commit();
            }
        }
    }

    private static void settings() throws Exception {
        String[] zones = {"Asia/Tokyo", "America/New_York"};
        String[] noons = {"2020-01-01 12:00:00+09", "2020-01-01 12:00:00-05"};
        try (Connection first = Paths.dial("prepareThreshold", "1"); Connection second = Paths.dial("prepareThreshold", "1")) {
            Connection[] both = {first, second};
            for (int i = 0; i < 2; i++) {
                String schema = "schema_java_" + Paths.COPY + "_" + i;
                Paths.run(both[i], "drop schema if exists " + schema + " cascade; create schema " + schema);
                both[i].setSchema(schema);
                Paths.run(both[i], "set timezone = '" + zones[i] + "'");
                both[i].setClientInfo("ApplicationName", "client " + i);
                Paths.run(both[i], "create table place as select '" + schema + "' as name");
            }
            for (int turn = 0; turn < 10; turn++) {
                for (int i = 0; i < 2; i++) {
                    Paths.asks("schema_java_" + Paths.COPY + "_" + i, both[i], "select name from place where ?", true);
                    Paths.asks(zones[i], both[i], "select current_setting(?)", "TimeZone");
                    Paths.asks("client " + i, both[i], "select current_setting(?)", "application_name");
                    Paths.asks(noons[i], both[i], "select '2020-01-01 12:00'::timestamptz::text");
                }
                first.setAutoCommit(false);
                Paths.run(first, "set timezone = 'UTC'");
                first.rollback();
                Paths.run(first, "set local timezone = 'UTC'");
                first.commit();
                first.setAutoCommit(true);
            }
            for (int i = 0; i < 2; i++) {
                Paths.run(both[i], "drop schema schema_java_" + Paths.COPY + "_" + i + " cascade");
            }
        }
    }
}
