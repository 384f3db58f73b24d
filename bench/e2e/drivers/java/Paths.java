import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;

/** Runs the paths of a driver one after another and says how each went, as the README of the folder above has it. */
final class Paths {
    private Paths() {}

    interface Path {
        void run() throws Exception;
    }

    interface Work {
        void run(Connection c) throws SQLException;
    }

    static final String USER = System.getenv("TARGET_USER");
    static final String DATABASE = System.getenv("TARGET_DATABASE");
    static final String CA = System.getenv("TARGET_CA");
    /** The names of what this run creates have it in them. */
    static final String COPY = System.getenv("TARGET_COPY");
    /** Whether statements have to be seen on several servers. */
    static final boolean SHARED = "1".equals(System.getenv("TARGET_SHARED"));

    private static final int LIMIT = 180; // seconds for one path
    private static final ExecutorService THREADS = Executors.newCachedThreadPool(r -> {
        Thread t = new Thread(r);
        t.setDaemon(true);
        return t;
    });

    private static final Map<String, Path> ALL = new LinkedHashMap<>();

    static void add(String name, Path path) {
        ALL.put(name, path);
    }

    /** Runs the paths that the environment names, or all, and ends the program. */
    static void runAll() throws InterruptedException {
        String wanted = " " + System.getenv().getOrDefault("TARGET_PATHS", "") + " ";
        boolean failed = false;
        for (Map.Entry<String, Path> e : ALL.entrySet()) {
            if (!wanted.isBlank() && !wanted.contains(" " + e.getKey() + " ")) {
                continue;
            }
            Future<?> run = start(e.getValue());
            try {
                run.get(LIMIT, TimeUnit.SECONDS);
                System.out.println("ok " + e.getKey());
            } catch (ExecutionException x) {
                failed = true;
                System.out.println("FAIL " + e.getKey() + " " + x.getCause().toString().replace('\n', ' ') + place(x.getCause()));
            } catch (TimeoutException x) {
                System.out.println("FAIL " + e.getKey() + " not done after " + LIMIT + " s");
                Thread.getAllStackTraces().forEach((t, frames) -> System.out.println(t + " " + Arrays.toString(frames)));
                System.exit(1);
            }
        }
        System.exit(failed ? 1 : 0);
    }

    private static String place(Throwable t) {
        StringBuilder b = new StringBuilder();
        for (StackTraceElement f : t.getStackTrace()) {
            if (!f.getClassName().contains(".") && !f.getClassName().startsWith("Paths")) {
                b.append(" at ").append(f.getFileName()).append(':').append(f.getLineNumber());
            }
        }
        return b.toString();
    }

    /** Starts work on a thread of its own. */
    static Future<?> start(Path work) {
        return THREADS.submit(() -> {
            work.run();
            return null;
        });
    }

    /** Opens a connection; more are properties of the driver, names and values in turn. */
    static Connection dial(String... more) throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", USER);
        p.setProperty("password", System.getenv("TARGET_PASSWORD"));
        p.setProperty("sslmode", "disable");
        p.setProperty("loginTimeout", "90");
        for (int i = 0; i < more.length; i += 2) {
            p.setProperty(more[i], more[i + 1]);
        }
        String url = "jdbc:postgresql://" + System.getenv("TARGET_HOST") + ":" + System.getenv("TARGET_PORT") + "/" + DATABASE;
        return DriverManager.getConnection(url, p);
    }

    static void run(Connection c, String sql) throws SQLException {
        try (var s = c.createStatement()) {
            s.execute(sql);
        }
    }

    /** The single value of a query, as the class of want, which it must equal. */
    static void asks(Object want, Connection c, String sql, Object... args) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            wants(want, s, args);
        }
    }

    static void wants(Object want, PreparedStatement s, Object... args) throws SQLException {
        for (int i = 0; i < args.length; i++) {
            s.setObject(i + 1, args[i]);
        }
        try (ResultSet r = s.executeQuery()) {
            same("rows", r.next(), true);
            same(s.toString(), want instanceof byte[] ? r.getBytes(1) : want == null ? r.getObject(1) : r.getObject(1, want.getClass()), want);
        }
    }

    static void same(String what, Object got, Object want) {
        if (!Arrays.deepEquals(new Object[] {got}, new Object[] {want})) {
            String text = what + ": got " + got + ", want " + want;
            throw new AssertionError(text.substring(0, Math.min(text.length(), 400)));
        }
    }

    /** Does work that the server has to answer with the error of that SQLSTATE. */
    static void fails(String state, Path work) throws Exception {
        try {
            work.run();
        } catch (SQLException e) {
            if (!state.equals(e.getSQLState())) {
                throw new AssertionError("SQLSTATE " + e.getSQLState() + ", want " + state + ": " + e.getMessage(), e);
            }
            return;
        }
        throw new AssertionError("no error, want SQLSTATE " + state);
    }

    /** Whether a statement was done by as many servers as it should. */
    static boolean moved(Set<Integer> pids) {
        return !SHARED || pids.size() > 1;
    }

    /** Makes an empty table of this run. */
    static String table(Connection c, String name, String columns) throws SQLException {
        name += "_java_" + COPY;
        run(c, "drop table if exists " + name);
        run(c, "create table " + name + " (" + columns + ")");
        return name;
    }

    /** Clients that run short transactions until they are closed. */
    static final class Busy implements AutoCloseable {
        private volatile boolean going = true;
        private final CountDownLatch worked; // each of them, once
        private final List<Future<?>> all;

        Busy(int count) {
            worked = new CountDownLatch(count);
            all = Stream.<Future<?>>generate(() -> start(this::neighbour)).limit(count).toList();
        }

        private void neighbour() throws SQLException {
            try (Connection c = dial()) {
                c.setAutoCommit(false);
                do {
                    asks("n", c, "select ?::text from pg_sleep(0.002)", "n");
                    c.commit();
                    worked.countDown();
                } while (going);
            } finally {
                worked.countDown();
            }
        }

        @Override
        public void close() throws Exception {
            worked.await(LIMIT, TimeUnit.SECONDS);
            going = false;
            for (Future<?> f : all) {
                f.get();
            }
        }
    }
}
