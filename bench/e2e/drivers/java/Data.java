import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;

/** The paths of pgjdbc that are about data, and about connections as such. */
final class Data {
    private Data() {}

    static void addAll() {
        Paths.add("pipeline", Data::pipeline);
        Paths.add("pipeline-error", Data::pipelineError);
        Paths.add("copy-in", Data::copyIn);
        Paths.add("copy-out", Data::copyOut);
        Paths.add("copy-error", Data::copyError);
        Paths.add("listen", Data::listen);
        Paths.add("types", Data::types);
        Paths.add("large", Data::large);
        Paths.add("schema-change", Data::schemaChange);
        Paths.add("reconnect", Data::reconnect);
    }

    /** Batches as they are, and rewritten by the driver to inserts of many rows. */
    private static void pipeline() throws Exception {
        for (String rewrite : new String[] {"false", "true"}) {
            try (Paths.Busy b = new Paths.Busy(2); Connection c = Paths.dial("reWriteBatchedInserts", rewrite)) {
                String name = Paths.table(c, "batch", "n int primary key, t text");
                PreparedStatement insert = c.prepareStatement("insert into " + name + " values (?, ?)");
                for (int turn = 0; turn < 8; turn++) {
                    c.setAutoCommit(turn % 2 == 0);
                    for (int i = 0; i < 200; i++) {
                        insert.setInt(1, turn * 200 + i);
                        insert.setString(2, "x".repeat(i));
                        insert.addBatch();
                    }
                    Paths.same("answers", insert.executeBatch().length, 200);
                    if (turn % 2 == 1) {
                        c.commit();
                    }
                }
                c.setAutoCommit(true);
                Paths.asks(1600, c, "select count(*)::int from " + name + " where length(t) = n % 200");
                Paths.run(c, "drop table " + name);
            }
        }
    }

    private static void pipelineError() throws Exception {
        for (String rewrite : new String[] {"false", "true"}) {
            try (Connection c = Paths.dial("reWriteBatchedInserts", rewrite)) {
                String name = Paths.table(c, "broken", "n int primary key");
                PreparedStatement insert = c.prepareStatement("insert into " + name + " values (?)");
                for (int turn = 0; turn < 8; turn++) {
                    c.setAutoCommit(false);
                    for (int i : new int[] {1, 2, 1, 3}) {
                        insert.setInt(1, i);
                        insert.addBatch();
                    }
                    try {
                        insert.executeBatch();
                        throw new AssertionError("a double key was taken");
                    } catch (BatchUpdateException e) {
                        Paths.same("SQLSTATE", e.getSQLState(), "23505");
                    }
                    c.rollback();
                    c.setAutoCommit(true);
                    Paths.asks(0, c, "select count(*)::int from " + name);
                }
                Paths.run(c, "drop table " + name);
            }
        }
    }

    private static void copyIn() throws Exception {
        try (Paths.Busy b = new Paths.Busy(2); Connection c = Paths.dial()) {
            String name = Paths.table(c, "goods", "id int, name text");
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < 5000; i++) {
                text.append(i).append("\tname ").append(i).append('\n');
            }
            CopyManager copy = ((PGConnection) c).getCopyAPI();
            Paths.same("rows copied", copy.copyIn("copy " + name + " from stdin", new StringReader(text.toString())), 5000L);
            Paths.asks(5000, c, "select count(*)::int from " + name + " where name = 'name ' || id");
            // What was copied out in binary is copied in again.
            var out = new ByteArrayOutputStream();
            copy.copyOut("copy " + name + " to stdout (format binary)", out);
            copy.copyIn("copy " + name + " from stdin (format binary)", new ByteArrayInputStream(out.toByteArray()));
            Paths.asks(10000, c, "select count(*)::int from " + name + " where name = 'name ' || id");
            Paths.run(c, "drop table " + name);
        }
    }

    private static void copyOut() throws Exception {
        try (Paths.Busy b = new Paths.Busy(2); Connection c = Paths.dial()) {
            CopyManager copy = ((PGConnection) c).getCopyAPI();
            StringBuilder want = new StringBuilder();
            for (int i = 1; i <= 5000; i++) {
                want.append(i).append("\tname ").append(i).append('\n');
            }
            var out = new ByteArrayOutputStream();
            Paths.same("rows", copy.copyOut("copy (select i, 'name ' || i from generate_series(1, 5000) i) to stdout", out), 5000L);
            Paths.same("text", out.toString(StandardCharsets.UTF_8), want.toString());
        }
    }

    /** Copies that fail by the server's will and by the client's. */
    private static void copyError() throws Exception {
        try (Connection c = Paths.dial()) {
            String name = Paths.table(c, "spoilt", "id int");
            CopyManager copy = ((PGConnection) c).getCopyAPI();
            InputStream broken = new InputStream() {
                @Override
                public int read() throws IOException {
                    throw new IOException("the file is broken");
                }
            };
            for (int i = 0; i < 3; i++) {
                Paths.fails("22P02", () -> copy.copyIn("copy " + name + " from stdin", new StringReader("1\n2\nx\n")));
                try {
                    copy.copyIn("copy " + name + " from stdin", broken);
                    throw new AssertionError("a broken copy succeeded");
                } catch (IOException e) {
                    Paths.same("error", e.getMessage(), "the file is broken");
                }
                Paths.fails("22012", () ->
                        copy.copyOut("copy (select 1/(3-i) from generate_series(1, 5) i) to stdout", new ByteArrayOutputStream()));
                Paths.asks(0, c, "select count(*)::int from " + name);
            }
            Paths.run(c, "drop table " + name);
        }
    }

    /**
     * The driver sends LISTEN by the extended query protocol, or by the simple one if told so. In the
     * first mode the client speaks to itself: it may hold a server connection as long as it listens.
     */
    private static void listen() throws Exception {
        for (String mode : new String[] {"extended", "simple"}) {
            try (Connection ear = Paths.dial("preferQueryMode", mode); Connection other = Paths.dial()) {
                Connection mouth = mode.equals("simple") ? other : ear;
                String channel = "news_java_" + Paths.COPY;
                Paths.run(ear, "listen " + channel);
                for (int i = 0; i < 3; i++) {
                    Paths.run(mouth, "notify " + channel + ", 'it rains (" + i + ")'");
                    PGNotification[] heard = ((PGConnection) ear).getNotifications(20_000);
                    Paths.same("notifications", heard.length, 1);
                    Paths.same("heard", heard[0].getName() + " " + heard[0].getParameter(), channel + " it rains (" + i + ")");
                    Paths.asks(i, ear, "select ?::int", i);
                }
                Paths.run(ear, "unlisten " + channel);
            }
        }
    }

    private static void types() throws Exception {
        byte[] all = new byte[256];
        for (int i = 0; i < all.length; i++) {
            all[i] = (byte) i;
        }
        try (Connection c = Paths.dial("prepareThreshold", "2")) {
            for (int turn = 0; turn < 4; turn++) { // as text, then in binary
                Paths.asks(-32768, c, "select ?::int4", -32768);
                Paths.asks(Long.MIN_VALUE, c, "select ?::int8", Long.MIN_VALUE);
                Paths.asks(-0.1, c, "select ?::float8", -0.1);
                Paths.asks(true, c, "select ?::bool", true);
                Paths.asks("Zürich, Ελλάδα, 東京, 🦊 '\"\\", c, "select ?::text", "Zürich, Ελλάδα, 東京, 🦊 '\"\\");
                Paths.asks("", c, "select ?::text", "");
                Paths.asks(all, c, "select ?::bytea", (Object) all);
                BigDecimal number = new BigDecimal("12345678901234567890.12345");
                Paths.asks(number, c, "select ?::numeric", number);
                OffsetDateTime when = OffsetDateTime.of(2026, 2, 28, 23, 59, 59, 999_999_000, ZoneOffset.UTC);
                Paths.asks(when, c, "select ?::timestamptz", when);
                UUID id = UUID.fromString("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
                Paths.asks(id, c, "select ?::uuid", id);
                Paths.asks("{\"a\": [1.5, null, \"ü\"]}", c, "select ?::jsonb::text", "{\"a\":[1.5,null,\"ü\"]}");
                Paths.asks(null, c, "select ?::int4", (Object) null);
                array(c, "int4", new Integer[] {1, -2, null});
                array(c, "text", new String[] {"a", "", "{\"b\",}", "NULL"});
            }
        }
    }

    private static void array(Connection c, String type, Object[] values) throws SQLException {
        try (PreparedStatement s = c.prepareStatement("select ?::" + type + "[]")) {
            s.setArray(1, c.createArrayOf(type, values));
            try (ResultSet r = s.executeQuery()) {
                r.next();
                Paths.same(type + "[]", Arrays.asList((Object[]) r.getArray(1).getArray()), Arrays.asList(values));
            }
        }
    }

    private static void large() throws Exception {
        byte[] value = new byte[1 << 20];
        for (int i = 0; i < value.length; i++) {
            value[i] = (byte) (i * 7919 >> 5);
        }
        String text = "0123456789abcdef".repeat(1 << 16);
        try (Connection c = Paths.dial("prepareThreshold", "2")) {
            for (int i = 0; i < 4; i++) {
                Paths.asks(value, c, "select ?::bytea", (Object) value);
            }
            Paths.asks(text, c, "select '" + text + "'");
            Paths.asks(1 << 20, c, "select length(?)", text);
        }
    }

    /** The driver reads rows by what it was told of a statement when it was new: a change has to be told it. */
    private static void schemaChange() throws Exception {
        try (Connection c = Paths.dial("prepareThreshold", "1"); Connection other = Paths.dial()) {
            String name = Paths.table(other, "changing", "a int");
            Paths.run(other, "insert into " + name + " values (1)");
            PreparedStatement all = c.prepareStatement("select * from " + name);
            for (int i = 0; i < 4; i++) {
                try (ResultSet r = all.executeQuery()) {
                    Paths.same("columns", r.getMetaData().getColumnCount(), i + 1);
                    r.next();
                    Paths.same("a", r.getInt("a"), 1);
                } catch (SQLException e) {
                    Paths.same("SQLSTATE", e.getSQLState(), "0A000");
                    try (ResultSet r = all.executeQuery()) { // prepared anew by the driver
                        Paths.same("columns", r.getMetaData().getColumnCount(), i + 1);
                    }
                }
                Paths.run(other, "alter table " + name + " add column b" + i + " int");
            }
            Paths.run(other, "drop table " + name);
        }
    }

    private static void reconnect() throws Exception {
        for (int i = 0; i < 20; i++) {
            try (Connection c = Paths.dial()) {
                Paths.asks(i, c, "select ?::int", i);
            }
        }
        try (Connection c = Paths.dial()) {
            Paths.fails("57P01", () -> Paths.run(c, "select pg_terminate_backend(pg_backend_pid())"));
            Paths.same("closed", c.isClosed() || !c.isValid(5), true);
        }
        try (Connection c = Paths.dial()) {
            Paths.asks(5, c, "select ?::int", 5);
        }
    }
}
