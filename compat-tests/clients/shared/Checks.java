import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Named checks of a suite: each is run with a time limit, told by one line, and counted. */
public final class Checks {

    /** What a check does; it fails by throwing. */
    public interface Body {
        void run() throws Exception;
    }

    /** Longer than any wait inside a check, so that the wait's own message is seen. */
    private static final long LIMIT_SECONDS = 90;
    /** How long a condition that must come true may take. */
    private static final long EVENTUALLY_MS = 30_000;

    // Daemon threads: a check that hangs must not keep the program alive.
    private static final ExecutorService WORKERS = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task, "check");
        thread.setDaemon(true);
        return thread;
    });

    private static int passed;
    private static int failed;

    private Checks() {
    }

    /** Runs one check. COMPAT_ONLY, a regular expression, picks checks by name; COMPAT_TIMES tells how long each took. */
    public static void check(String name, Body body) {
        String only = System.getenv("COMPAT_ONLY");
        if (only != null && !name.matches(only)) {
            return;
        }
        Future<?> run = WORKERS.submit(() -> {
            body.run();
            return null;
        });
        long start = System.nanoTime();
        Throwable problem = null;
        try {
            run.get(LIMIT_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            problem = e.getCause();
        } catch (TimeoutException e) {
            problem = new AssertionError("not done after " + LIMIT_SECONDS + " s");
            run.cancel(true);
        } catch (InterruptedException e) {
            problem = e;
        }
        if (System.getenv("COMPAT_TIMES") != null) {
            System.err.println((System.nanoTime() - start) / 1_000_000 + " ms for " + name);
        }
        if (problem == null) {
            passed++;
            System.out.println("ok   " + name);
        } else {
            failed++;
            System.out.println("FAIL " + name + ": " + problem);
            for (StackTraceElement at : problem.getStackTrace()) {
                // Only the suite's own lines: they tell which statement failed.
                if (at.getClassName().indexOf('.') < 0 && !at.getClassName().startsWith("Checks")) {
                    System.out.println("     at " + at);
                }
            }
        }
    }

    /** Prints the count and ends the program with the suite's exit code. */
    public static void finish() {
        System.out.println(passed + " passed, " + failed + " failed");
        System.out.flush();
        Runtime.getRuntime().halt(failed == 0 && passed > 0 ? 0 : 1);
    }

    public static void equal(Object expected, Object actual) {
        equal("value", expected, actual);
    }

    public static void equal(String what, Object expected, Object actual) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError(what + ": expected <" + expected + ">, got <" + actual + ">");
        }
    }

    public static void isTrue(String what, boolean value) {
        if (!value) {
            throw new AssertionError("not so: " + what);
        }
    }

    /** Polls until the call gives the expected value; an exception counts as another value. */
    public static void eventually(String what, Object expected, Callable<?> call) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(EVENTUALLY_MS);
        Object last;
        do {
            try {
                last = call.call();
            } catch (InterruptedException e) {
                throw e;
            } catch (Exception e) {
                last = e;
            }
            if (Objects.equals(expected, last)) {
                return;
            }
            Thread.sleep(20);
        } while (System.nanoTime() < end);
        throw new AssertionError(what + ": expected <" + expected + "> in time, last was <" + last + ">");
    }

    /** The call must fail with an exception of that class; it is returned for a closer look. */
    public static <T extends Throwable> T fails(Class<T> kind, Body body) throws Exception {
        try {
            body.run();
        } catch (Throwable e) {
            if (kind.isInstance(e)) {
                return kind.cast(e);
            }
            throw new AssertionError("expected " + kind.getSimpleName() + ", got " + e, e);
        }
        throw new AssertionError("expected " + kind.getSimpleName() + ", but it succeeded");
    }

    /** Runs the control script of the server under test with one verb. */
    public static void control(String verb) throws Exception {
        Process process = new ProcessBuilder(System.getenv("SERVER_CTL"), verb).inheritIO().start();
        equal("exit code of the server's " + verb, 0, process.waitFor());
    }
}
