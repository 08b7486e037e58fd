import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;

/** Connected clients, their recorded events, and a znode of its own for each check. */
final class Clients {

    static final String CONNECT = System.getenv("ZK_CONNECT");
    static final int TIMEOUT_MS = 10_000;
    private static final AtomicInteger ROOTS = new AtomicInteger();

    private Clients() {
    }

    /** A client that is connected when the constructor is done, and records what its watchers are told. */
    static final class Client extends ZooKeeper {
        final Events events;

        private Client(String connect, int timeoutMs, Events events) throws IOException {
            super(connect, timeoutMs, events);
            this.events = events;
        }

        private Client(String connect, int timeoutMs, Events events, long id, byte[] password) throws IOException {
            super(connect, timeoutMs, events, id, password);
            this.events = events;
        }
    }

    /** A watcher that keeps events in order, those of the connection apart from those of znodes. */
    static final class Events implements Watcher {
        private final BlockingQueue<String> nodes = new LinkedBlockingQueue<>();
        final BlockingQueue<Event.KeeperState> states = new LinkedBlockingQueue<>();

        @Override
        public void process(WatchedEvent event) {
            if (event.getType() == Event.EventType.None) {
                states.add(event.getState());
            } else {
                nodes.add(event.getType() + " " + event.getPath());
            }
        }

        /** The next event, or "nothing" when none comes in time. */
        String next() throws InterruptedException {
            String event = nodes.poll(15, TimeUnit.SECONDS);
            return event == null ? "nothing" : event;
        }

        /** The next events must be these, in this order. */
        void expect(String... expected) throws InterruptedException {
            List<String> got = new ArrayList<>();
            for (int i = 0; i < expected.length; i++) {
                got.add(next());
            }
            Checks.equal("events", List.of(expected), got);
        }

        /** No event may be there. Call it after a request was answered that was sent behind the cause. */
        void expectNone() {
            Checks.equal("events left", List.of(), List.copyOf(nodes));
        }

        /** The connection must come into that state, or into one of several. */
        void awaitState(Event.KeeperState... expected) throws InterruptedException {
            Event.KeeperState state;
            do {
                state = states.poll(30, TimeUnit.SECONDS);
                if (state == null) {
                    throw new AssertionError("the connection did not become " + List.of(expected));
                }
            } while (!List.of(expected).contains(state));
        }
    }

    static Client open() throws Exception {
        return open(CONNECT, TIMEOUT_MS);
    }

    static Client open(String connect, int timeoutMs) throws Exception {
        Events events = new Events();
        Client client = new Client(connect, timeoutMs, events);
        events.awaitState(Watcher.Event.KeeperState.SyncConnected);
        return client;
    }

    /** A client that asks for an existing session; its events tell whether it gets it. */
    static Client resume(long id, byte[] password) throws Exception {
        return new Client(CONNECT, TIMEOUT_MS, new Events(), id, password);
    }

    /** What was written before is there on the member that a proxy leads to. */
    static void catchUpBehindProxy() throws Exception {
        try (Client client = open(Proxy.MEMBER, TIMEOUT_MS)) {
            client.sync("/");
        }
    }

    /** A persistent znode that no other check uses. */
    static String root(ZooKeeper client) throws Exception {
        return create(client, "/java-" + ROOTS.incrementAndGet(), "");
    }

    static String create(ZooKeeper client, String path, String data) throws Exception {
        return create(client, path, data, CreateMode.PERSISTENT);
    }

    static String create(ZooKeeper client, String path, String data, CreateMode mode) throws Exception {
        return client.create(path, bytes(data), ZooDefs.Ids.OPEN_ACL_UNSAFE, mode);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] data) {
        return data == null ? null : new String(data, StandardCharsets.UTF_8);
    }

    /** The call must fail with that code; the exception is returned. */
    static KeeperException refused(KeeperException.Code code, Checks.Body body) throws Exception {
        KeeperException e = Checks.fails(KeeperException.class, body);
        Checks.equal("error code", code, e.code());
        return e;
    }
}
