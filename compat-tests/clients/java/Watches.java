import java.util.List;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.WatcherType;

/** Every kind of watch: what fires it, once or for good, in which order, and how it is removed. */
final class Watches {

    private Watches() {
    }

    static void run() throws Exception {
        Checks.check("data watch: set and delete, once", () -> with(Watches::data));
        Checks.check("exists watch: creation, set, delete", () -> with(Watches::exists));
        Checks.check("child watch: children and the znode's own delete", () -> with(Watches::child));
        Checks.check("one watcher on data and children is told once of a delete", () -> with(Watches::both));
        Checks.check("persistent watch stays", () -> with(Watches::persistent));
        Checks.check("persistent recursive watch: the subtree, no child events", () -> with(Watches::recursive));
        Checks.check("recursive and ordinary watches side by side", () -> with(Watches::mixed));
        Checks.check("removeWatches by kind", () -> with(Watches::remove));
        Checks.check("removeAllWatches", () -> with(Watches::removeAll));
        Checks.check("an event comes before the reply that shows the new state", () -> with(Watches::order));
        Checks.check("ephemerals of a closed session fire watches", () -> with(Watches::ephemerals));
        Checks.check("events across paths in the order of changes", () -> with(Watches::acrossPaths));
        Checks.check("config watch is accepted", () -> with((zk, other, root) -> {
            zk.getConfig(true, null);
            zk.removeAllWatches("/zookeeper/config", WatcherType.Data, false);
            zk.events.expect("DataWatchRemoved /zookeeper/config");
        }));
    }

    private interface Body {
        void run(Clients.Client watching, Clients.Client changing, String root) throws Exception;
    }

    private static void with(Body body) throws Exception {
        try (Clients.Client watching = Clients.open(); Clients.Client changing = Clients.open()) {
            String root = Clients.root(changing);
            // Of an ensemble the two may be at different members.
            watching.sync(root);
            body.run(watching, changing, root);
            // Whatever was sent before this answer has been delivered with it: nothing unexpected may be left.
            watching.exists("/", false);
            watching.events.expectNone();
        }
    }

    private static void data(Clients.Client zk, Clients.Client other, String root) throws Exception {
        zk.getData(root, true, null);
        other.setData(root, null, -1);
        zk.events.expect("NodeDataChanged " + root);
        other.setData(root, null, -1);
        zk.sync(root);
        zk.getData(root, true, null);
        Clients.create(other, root + "/child", "");
        other.delete(root + "/child", -1);
        other.delete(root, -1);
        zk.events.expect("NodeDeleted " + root);
        Clients.refused(Code.NONODE, () -> zk.getData(root, true, null));
        Clients.create(other, root, "");
    }

    private static void exists(Clients.Client zk, Clients.Client other, String root) throws Exception {
        String path = root + "/a";
        zk.exists(path, true);
        Clients.create(other, path, "");
        zk.events.expect("NodeCreated " + path);
        zk.exists(path, true);
        other.setData(path, null, -1);
        zk.events.expect("NodeDataChanged " + path);
        zk.exists(path, true);
        other.delete(path, -1);
        zk.events.expect("NodeDeleted " + path);
    }

    private static void child(Clients.Client zk, Clients.Client other, String root) throws Exception {
        zk.getChildren(root, true);
        other.setData(root, null, -1);
        Clients.create(other, root + "/a", "");
        zk.events.expect("NodeChildrenChanged " + root);
        zk.getChildren(root, true);
        Clients.create(other, root + "/a/deep", "");
        other.delete(root + "/a/deep", -1);
        other.delete(root + "/a", -1);
        zk.events.expect("NodeChildrenChanged " + root);
        zk.getChildren(root, true);
        other.delete(root, -1);
        zk.events.expect("NodeDeleted " + root);
    }

    private static void both(Clients.Client zk, Clients.Client other, String root) throws Exception {
        zk.getData(root, true, null);
        zk.getChildren(root, true);
        other.delete(root, -1);
        zk.events.expect("NodeDeleted " + root);
    }

    private static void persistent(Clients.Client zk, Clients.Client other, String root) throws Exception {
        String path = root + "/a";
        zk.addWatch(path, AddWatchMode.PERSISTENT);
        Clients.create(other, path, "");
        other.setData(path, null, -1);
        Clients.create(other, path + "/b", "");
        other.setData(path + "/b", null, -1);
        other.delete(path + "/b", -1);
        other.delete(path, -1);
        Clients.create(other, path, "");
        zk.events.expect("NodeCreated " + path, "NodeDataChanged " + path, "NodeChildrenChanged " + path,
            "NodeChildrenChanged " + path, "NodeDeleted " + path, "NodeCreated " + path);
    }

    private static void recursive(Clients.Client zk, Clients.Client other, String root) throws Exception {
        zk.addWatch(root, AddWatchMode.PERSISTENT_RECURSIVE);
        Clients.create(other, root + "/a", "");
        Clients.create(other, root + "/a/b", "");
        other.setData(root + "/a/b", null, -1);
        other.setData(root, null, -1);
        other.delete(root + "/a/b", -1);
        other.delete(root + "/a", -1);
        zk.events.expect("NodeCreated " + root + "/a", "NodeCreated " + root + "/a/b",
            "NodeDataChanged " + root + "/a/b", "NodeDataChanged " + root, "NodeDeleted " + root + "/a/b",
            "NodeDeleted " + root + "/a");
    }

    private static void mixed(Clients.Client zk, Clients.Client other, String root) throws Exception {
        Clients.Events ordinary = new Clients.Events();
        zk.addWatch(root, AddWatchMode.PERSISTENT_RECURSIVE);
        zk.getChildren(root, ordinary);
        Clients.create(other, root + "/a", "");
        zk.events.expect("NodeCreated " + root + "/a");
        ordinary.expect("NodeChildrenChanged " + root);
        zk.getData(root + "/a", ordinary, null);
        other.setData(root + "/a", null, -1);
        zk.events.expect("NodeDataChanged " + root + "/a");
        ordinary.expect("NodeDataChanged " + root + "/a");
    }

    private static void remove(Clients.Client zk, Clients.Client other, String root) throws Exception {
        Clients.Events data = new Clients.Events();
        Clients.Events child = new Clients.Events();
        zk.getData(root, data, null);
        zk.getChildren(root, child);
        zk.removeWatches(root, child, WatcherType.Children, false);
        child.expect("ChildWatchRemoved " + root);
        Clients.create(other, root + "/a", "");
        other.setData(root, null, -1);
        data.expect("NodeDataChanged " + root);
        child.expectNone();
        Clients.refused(Code.NOWATCHER, () -> zk.removeWatches(root, data, WatcherType.Data, false));
        zk.addWatch(root, data, AddWatchMode.PERSISTENT);
        zk.addWatch(root, child, AddWatchMode.PERSISTENT_RECURSIVE);
        zk.removeWatches(root, data, WatcherType.Persistent, false);
        data.expect("PersistentWatchRemoved " + root);
        zk.removeWatches(root, child, WatcherType.PersistentRecursive, false);
        child.expect("PersistentWatchRemoved " + root);
        other.setData(root, null, -1);
        zk.exists("/", false);
        data.expectNone();
        child.expectNone();
    }

    private static void removeAll(Clients.Client zk, Clients.Client other, String root) throws Exception {
        Clients.refused(Code.NOWATCHER, () -> zk.removeAllWatches(root, WatcherType.Any, false));
        zk.getData(root, true, null);
        zk.getChildren(root, true);
        zk.removeAllWatches(root, WatcherType.Any, false);
        Checks.equal("events", List.of("ChildWatchRemoved " + root, "DataWatchRemoved " + root),
            List.of(zk.events.next(), zk.events.next()).stream().sorted().toList());
        other.delete(root, -1);
    }

    private static void order(Clients.Client zk, Clients.Client other, String root) throws Exception {
        for (int i = 1; i <= 200; i++) {
            int version = i;
            zk.getData(root, true, null);
            other.setData(root, null, -1);
            java.util.concurrent.CompletableFuture<Boolean> seen = new java.util.concurrent.CompletableFuture<>();
            // The callback runs in the thread of the events, behind those that came before the reply.
            org.apache.zookeeper.AsyncCallback.StatCallback reply = (rc, path, ctx, stat) -> {
                if (stat.getVersion() == version) {
                    seen.complete(true);
                }
            };
            zk.sync("/");
            zk.exists(root, false, reply, null);
            seen.get();
            zk.events.expect("NodeDataChanged " + root);
        }
    }

    private static void ephemerals(Clients.Client zk, Clients.Client other, String root) throws Exception {
        Clients.Client owner = Clients.open();
        Clients.create(owner, root + "/e", "", CreateMode.EPHEMERAL);
        zk.sync(root);
        zk.exists(root + "/e", true);
        zk.getChildren(root, true);
        owner.close();
        Checks.equal("events", List.of("NodeChildrenChanged " + root, "NodeDeleted " + root + "/e"),
            List.of(zk.events.next(), zk.events.next()).stream().sorted().toList());
    }

    private static void acrossPaths(Clients.Client zk, Clients.Client other, String root) throws Exception {
        int count = 300;
        String[] expected = new String[count];
        for (int i = 0; i < count; i++) {
            Clients.create(zk, root + "/" + i, "");
            zk.getData(root + "/" + i, true, null);
            expected[i] = "NodeDataChanged " + root + "/" + (count - 1 - i);
        }
        for (int i = count - 1; i >= 0; i--) {
            other.setData(root + "/" + i, null, -1, (rc, path, ctx, stat) -> { }, null);
        }
        zk.events.expect(expected);
    }
}
