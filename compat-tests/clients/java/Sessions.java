import java.util.ArrayList;
import java.util.List;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** Sessions: timeouts, resuming, losing, watches over a lost connection, and the server's death. */
final class Sessions {

    private Sessions() {
    }

    static void run() throws Exception {
        Checks.check("the timeout is brought into the server's limits", Sessions::negotiation);
        Checks.check("resume with id and password", Sessions::resume);
        Checks.check("a wrong password expires only the one that gave it", Sessions::wrongPassword);
        Checks.check("an unknown session expires", Sessions::unknown);
        Checks.check("a session closed from elsewhere expires", Sessions::closedElsewhere);
        Checks.check("a silent session expires and its ephemerals go", Sessions::silent);
        Checks.check("watches missed over a lost connection are told", Sessions::missed);
        Checks.check("watches kept over a lost connection", Sessions::kept);
        Checks.check("many watches over a lost connection", Sessions::manyWatches);
        Checks.check("kill -9: sessions, ephemerals, watches and data live on", () -> restart("kill9"));
        Checks.check("stop and start: sessions, ephemerals, watches and data live on", () -> restart("stop"));
        Checks.check("kill -9 under load: nothing acknowledged is lost", Sessions::killUnderLoad);
    }

    private static void negotiation() throws Exception {
        int[][] askedAndGiven = {{800, 1_000}, {1_500, 1_500}, {40_000, 40_000}, {900_000, 600_000}};
        for (int[] pair : askedAndGiven) {
            try (Clients.Client zk = Clients.open(Clients.CONNECT, pair[0])) {
                Checks.equal("timeout for " + pair[0], pair[1], zk.getSessionTimeout());
                Checks.equal("password length", 16, zk.getSessionPasswd().length);
            }
        }
    }

    private static void resume() throws Exception {
        Clients.Client first = Clients.open();
        String root = Clients.root(first);
        Clients.create(first, root + "/e", "", CreateMode.EPHEMERAL);
        try (Clients.Client second = Clients.resume(first.getSessionId(), first.getSessionPasswd())) {
            second.events.awaitState(KeeperState.SyncConnected);
            Checks.equal("id", first.getSessionId(), second.getSessionId());
            // The first, which comes back, may end its connection again.
            Checks.eventually("list", List.of(root + "/e"), () -> {
                second.sync(root);
                return second.getEphemerals();
            });
        }
        first.close();
    }

    private static void wrongPassword() throws Exception {
        try (Clients.Client first = Clients.open()) {
            byte[] wrong = first.getSessionPasswd().clone();
            wrong[0] ^= 1;
            Clients.Client second = Clients.resume(first.getSessionId(), wrong);
            second.events.awaitState(KeeperState.Expired);
            second.close();
            // The server may have ended the connection of the first; its session is alive.
            Checks.eventually("the first", true, () -> first.exists("/", false) != null);
        }
    }

    private static void unknown() throws Exception {
        Clients.Client zk = Clients.resume(0x123456789abcdefL, new byte[16]);
        zk.events.awaitState(KeeperState.Expired);
        Clients.refused(Code.SESSIONEXPIRED, () -> zk.exists("/", false));
        zk.close();
    }

    private static void closedElsewhere() throws Exception {
        Clients.Client first = Clients.open();
        String root = Clients.root(first);
        Clients.create(first, root + "/e", "", CreateMode.EPHEMERAL);
        try (Clients.Client zk = Clients.open()) {
            // A close is lost if the first takes the connection from the second, which it does when it comes back to the
            // same server just then: what counts is that the session is over for the first when it is over.
            Checks.eventually("ephemeral", null, () -> {
                Clients.Client second = Clients.resume(first.getSessionId(), first.getSessionPasswd());
                second.events.awaitState(KeeperState.SyncConnected, KeeperState.Expired);
                second.close();
                zk.sync(root);
                return zk.exists(root + "/e", false);
            });
            first.events.awaitState(KeeperState.Expired);
            Clients.refused(Code.SESSIONEXPIRED, () -> first.exists("/", false));
        }
    }

    private static void silent() throws Exception {
        try (Proxy proxy = new Proxy(); Clients.Client zk = Clients.open();
             Clients.Client quiet = Clients.open(proxy.connect(), 1_000)) {
            String root = Clients.root(zk);
            Clients.create(quiet, root + "/e", "", CreateMode.EPHEMERAL);
            zk.sync(root);
            zk.exists(root + "/e", true);
            long start = System.nanoTime();
            proxy.cut();
            zk.events.expect("NodeDeleted " + root + "/e");
            long ms = (System.nanoTime() - start) / 1_000_000;
            // Within the timeout, rounded up to the next tick, and some patience for a busy machine.
            Checks.isTrue("expiry after the timeout and not much later: " + ms + " ms", ms > 400 && ms < 10_000);
            proxy.mend();
            quiet.events.awaitState(KeeperState.Expired);
        }
    }

    private static void missed() throws Exception {
        try (Proxy proxy = new Proxy(); Clients.Client other = Clients.open();
             Clients.Client zk = Clients.open(proxy.connect(), Clients.TIMEOUT_MS)) {
            String root = Clients.root(other);
            for (String name : List.of("set", "deleted", "children", "same", "recreated")) {
                Clients.create(other, root + "/" + name, "");
            }
            zk.sync(root);
            zk.getData(root + "/set", true, null);
            zk.getData(root + "/deleted", true, null);
            zk.getData(root + "/same", true, null);
            zk.getChildren(root + "/children", true);
            zk.exists(root + "/created", true);
            zk.exists(root + "/recreated", true);
            zk.addWatch(root + "/persistent", AddWatchMode.PERSISTENT);
            proxy.cut();
            zk.events.awaitState(KeeperState.Disconnected);
            other.setData(root + "/set", null, -1);
            other.delete(root + "/deleted", -1);
            Clients.create(other, root + "/children/a", "");
            Clients.create(other, root + "/created", "");
            other.delete(root + "/recreated", -1);
            Clients.create(other, root + "/recreated", "");
            Clients.create(other, root + "/persistent", "");
            Clients.catchUpBehindProxy();
            proxy.mend();
            List<String> got = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                got.add(zk.events.next());
            }
            // The order among them is that of a hash table; a persistent watch is not told what it missed.
            Checks.equal("events", List.of("NodeChildrenChanged " + root + "/children", "NodeCreated " + root + "/created",
                "NodeDataChanged " + root + "/recreated", "NodeDataChanged " + root + "/set",
                "NodeDeleted " + root + "/deleted"), got.stream().sorted().toList());
            other.setData(root + "/same", null, -1);
            other.setData(root + "/persistent", null, -1);
            zk.events.expect("NodeDataChanged " + root + "/same", "NodeDataChanged " + root + "/persistent");
            zk.exists("/", false);
            zk.events.expectNone();
        }
    }

    private static void kept() throws Exception {
        try (Proxy proxy = new Proxy(); Clients.Client other = Clients.open();
             Clients.Client zk = Clients.open(proxy.connect(), Clients.TIMEOUT_MS)) {
            String root = Clients.root(other);
            zk.sync(root);
            zk.exists(root + "/a", true);
            zk.getChildren(root, true);
            Clients.Events recursive = new Clients.Events();
            zk.addWatch(root, recursive, AddWatchMode.PERSISTENT_RECURSIVE);
            proxy.cut();
            zk.events.awaitState(KeeperState.Disconnected);
            proxy.mend();
            zk.events.awaitState(KeeperState.SyncConnected);
            zk.exists("/", false);
            Clients.create(other, root + "/a", "");
            recursive.expect("NodeCreated " + root + "/a");
            Checks.equal("events", List.of("NodeChildrenChanged " + root, "NodeCreated " + root + "/a"),
                List.of(zk.events.next(), zk.events.next()).stream().sorted().toList());
        }
    }

    /** More than fits into one setWatches packet of the client (128 kB). */
    private static void manyWatches() throws Exception {
        int count = 3_000;
        String longName = "x".repeat(60);
        try (Proxy proxy = new Proxy(); Clients.Client other = Clients.open();
             Clients.Client zk = Clients.open(proxy.connect(), Clients.TIMEOUT_MS)) {
            String root = Clients.root(other);
            for (int i = 0; i < count; i++) {
                zk.exists(root + "/" + longName + i, true, (rc, path, ctx, stat) -> { }, null);
            }
            zk.exists("/", false);
            proxy.cut();
            zk.events.awaitState(KeeperState.Disconnected);
            proxy.mend();
            zk.events.awaitState(KeeperState.SyncConnected);
            zk.exists("/", false);
            for (int i : new int[] {0, 1_500, count - 1}) {
                Clients.create(other, root + "/" + longName + i, "");
                zk.events.expect("NodeCreated " + root + "/" + longName + i);
            }
        }
    }

    private static void restart(String how) throws Exception {
        try (Clients.Client zk = Clients.open(Clients.CONNECT, 40_000)) {
            String root = Clients.root(zk);
            Clients.create(zk, root + "/p", "data");
            Clients.create(zk, root + "/e", "", CreateMode.EPHEMERAL);
            Clients.create(zk, root + "/c", "", CreateMode.CONTAINER);
            zk.create(root + "/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 600_000);
            zk.setACL(root + "/p", java.util.Arrays.asList(Ids.READ_ACL_UNSAFE.get(0), Ids.OPEN_ACL_UNSAFE.get(0)), -1);
            zk.getData(root + "/p", true, null);
            zk.getChildren(root, true);
            List<Stat> before = stats(zk, root);
            long id = zk.getSessionId();
            Checks.control(how);
            zk.events.awaitState(KeeperState.Disconnected);
            Checks.control("start");
            zk.events.awaitState(KeeperState.SyncConnected);
            Checks.equal("session", id, zk.getSessionId());
            Checks.equal("every Stat", before, stats(zk, root));
            Checks.equal("ACL", 2, zk.getACL(root + "/p", new Stat()).size());
            Checks.equal("data", "data", Clients.text(zk.getData(root + "/p", false, null)));
            zk.setData(root + "/p", null, -1);
            Clients.create(zk, root + "/after", "", CreateMode.PERSISTENT_SEQUENTIAL);
            zk.events.expect("NodeDataChanged " + root + "/p", "NodeChildrenChanged " + root);
            Checks.equal("ephemerals", List.of(root + "/e"), zk.getEphemerals(root));
        }
    }

    private static List<Stat> stats(Clients.Client zk, String root) throws Exception {
        List<Stat> stats = new ArrayList<>();
        for (String path : List.of("", "/p", "/e", "/c", "/t")) {
            stats.add(zk.exists(root + path, false));
        }
        return stats;
    }

    private static void killUnderLoad() throws Exception {
        try (Clients.Client zk = Clients.open(Clients.CONNECT, 40_000)) {
            String root = Clients.root(zk);
            List<String> acknowledged = java.util.Collections.synchronizedList(new ArrayList<>());
            java.util.concurrent.Semaphore window = new java.util.concurrent.Semaphore(64);
            for (int i = 0; i < 4_000; i++) {
                window.acquire();
                zk.create(root + "/n" + i, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (rc, path, ctx, name) -> {
                    if (rc == 0) {
                        acknowledged.add(name);
                    }
                    window.release();
                }, null);
                if (i == 2_000) {
                    Checks.control("kill9");
                    Checks.control("start");
                }
            }
            window.acquire(64);
            java.util.Set<String> there = new java.util.HashSet<>(zk.getChildren(root, false));
            for (String path : acknowledged) {
                Checks.isTrue(path + " is there", there.contains(path.substring(root.length() + 1)));
            }
            Checks.isTrue("acknowledged before and after: " + acknowledged.size(), acknowledged.size() > 1_900);
        }
    }
}
