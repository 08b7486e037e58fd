import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** Order of pipelined requests, large packets, many clients at once. */
final class Flow {

    /** jute.maxbuffer of client and server: a packet of this many bytes is the first too large. */
    private static final int PACKET_BOUND = 0xfffff;

    private Flow() {
    }

    static void run() throws Exception {
        Checks.check("replies in the order of requests, reads see earlier writes", Flow::order);
        Checks.check("data just below the packet bound", Flow::largestData);
        Checks.check("data above the packet bound ends the connection, not the session", Flow::tooLarge);
        Checks.check("a children list near the packet bound", Flow::manyChildren);
        Checks.check("50 clients increment one counter by version", Flow::counter);
        Checks.check("200 sessions at once", Flow::sessions);
        Checks.check("deep paths", Flow::deep);
    }

    private static void order() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            int rounds = 2_000;
            List<String> answers = Collections.synchronizedList(new ArrayList<>());
            CountDownLatch done = new CountDownLatch(rounds * 2);
            List<String> expected = new ArrayList<>();
            for (int i = 0; i < rounds; i++) {
                zk.setData(root, Clients.bytes("" + i), i, (rc, path, ctx, stat) -> {
                    answers.add("set " + rc + " " + stat.getVersion());
                    done.countDown();
                }, null);
                zk.getData(root, false, (rc, path, ctx, data, stat) -> {
                    answers.add("get " + rc + " " + Clients.text(data));
                    done.countDown();
                }, null);
                expected.add("set 0 " + (i + 1));
                expected.add("get 0 " + i);
            }
            done.await();
            Checks.equal("answers", expected, answers);
        }
    }

    private static void largestData() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            // Header, path, version and the length fields take less than 200 bytes here.
            byte[] data = new byte[PACKET_BOUND - 200];
            Arrays.fill(data, (byte) 'x');
            data[data.length - 1] = 'y';
            zk.setData(root, data, -1);
            Stat stat = new Stat();
            Checks.isTrue("same bytes", Arrays.equals(data, zk.getData(root, false, stat)));
            Checks.equal("length", data.length, stat.getDataLength());
        }
    }

    private static void tooLarge() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            long id = zk.getSessionId();
            Clients.refused(Code.CONNECTIONLOSS, () -> zk.setData(root, new byte[PACKET_BOUND + 1_024], -1));
            zk.events.awaitState(KeeperState.SyncConnected);
            Checks.equal("session", id, zk.getSessionId());
            Checks.equal("version", 0, zk.exists(root, false).getVersion());
        }
    }

    private static void manyChildren() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            int count = 10_000;
            String name = "n".repeat(80);
            CountDownLatch done = new CountDownLatch(count);
            for (int i = 0; i < count; i++) {
                zk.create(root + "/" + name + i, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                    (rc, path, ctx, created) -> done.countDown(), null);
            }
            done.await();
            Checks.equal("children", count, zk.getChildren(root, false).size());
            Checks.equal("count", count, zk.getAllChildrenNumber(root));
        }
    }

    private static void counter() throws Exception {
        int clients = 50;
        int increments = 5;
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            zk.setData(root, Clients.bytes("0"), -1);
            AtomicInteger problems = new AtomicInteger();
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < clients; i++) {
                Thread thread = new Thread(() -> {
                    try (Clients.Client own = Clients.open()) {
                        own.sync(root);
                        for (int done = 0; done < increments;) {
                            Stat stat = new Stat();
                            int value = Integer.parseInt(Clients.text(own.getData(root, false, stat)));
                            try {
                                own.setData(root, Clients.bytes("" + (value + 1)), stat.getVersion());
                                done++;
                            } catch (org.apache.zookeeper.KeeperException.BadVersionException e) {
                                // Another was faster: read again.
                            }
                        }
                    } catch (Exception e) {
                        problems.incrementAndGet();
                    }
                });
                thread.start();
                threads.add(thread);
            }
            for (Thread thread : threads) {
                thread.join();
            }
            Checks.equal("clients with an error", 0, problems.get());
            zk.sync(root);
            Checks.equal("counter", "" + clients * increments, Clients.text(zk.getData(root, false, null)));
        }
    }

    private static void sessions() throws Exception {
        int count = 200;
        // A close takes the client 100 ms: many at a time.
        ExecutorService pool = Executors.newFixedThreadPool(50);
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            List<Callable<Clients.Client>> opening = Collections.nCopies(count, () -> {
                Clients.Client client = Clients.open();
                Clients.create(client, root + "/e", "", CreateMode.EPHEMERAL_SEQUENTIAL);
                return client;
            });
            List<Callable<Void>> closing = new ArrayList<>();
            Set<Long> ids = new HashSet<>();
            for (Future<Clients.Client> opened : pool.invokeAll(opening)) {
                Clients.Client client = opened.get();
                ids.add(client.getSessionId());
                closing.add(() -> {
                    client.close();
                    return null;
                });
            }
            Checks.equal("distinct ids", count, ids.size());
            zk.sync(root);
            Checks.equal("ephemerals", count, zk.getChildren(root, false).size());
            for (Future<Void> closed : pool.invokeAll(closing)) {
                closed.get();
            }
            zk.sync(root);
            Checks.equal("ephemerals after the close", 0, zk.getChildren(root, false).size());
        } finally {
            pool.shutdownNow();
        }
    }

    private static void deep() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            String path = Clients.root(zk);
            for (int i = 0; i < 100; i++) {
                path = Clients.create(zk, path + "/deeper", "");
            }
            Checks.equal("length", 0, zk.getChildren(path, false).size());
        }
    }
}
