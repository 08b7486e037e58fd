import java.util.List;
import java.util.TreeSet;
import org.apache.zookeeper.AsyncCallback;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** Each operation on znodes, each create mode, and every field of the Stat they leave. */
final class Basics {

    private Basics() {
    }

    static void run() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            Checks.check("create and read back", () -> createAndRead(zk));
            Checks.check("create answers the Stat", () -> createWithStat(zk));
            Checks.check("null data stays null", () -> nullData(zk));
            Checks.check("set moves version, mzxid and mtime only", () -> set(zk));
            Checks.check("conditional set and delete", () -> conditional(zk));
            Checks.check("children move cversion and pzxid of the parent", () -> children(zk));
            Checks.check("sequential names count on the parent", () -> sequential(zk));
            Checks.check("ephemerals: owner, no children, listed, gone with the session", () -> ephemeral(zk));
            Checks.check("container: removed when emptied", () -> container(zk));
            Checks.check("TTL: removed when old, kept by children", () -> ttl(zk));
            Checks.check("TTL sequential", () -> ttlSequential(zk));
            Checks.check("getEphemerals by prefix", () -> getEphemerals(zk));
            Checks.check("getAllChildrenNumber counts the whole subtree", () -> allChildren(zk));
            Checks.check("sync answers the path", () -> sync(zk));
            Checks.check("getConfig", () -> config(zk));
            Checks.check("whoAmI tells the address", () -> Checks.equal("ip", List.of("ip"),
                zk.whoAmI().stream().map(info -> info.getAuthScheme()).toList()));
            Checks.check("paths in any script", () -> unicode(zk));
            Checks.check("chroot is invisible to its client", Basics::chroot);
        }
    }

    private static void createAndRead(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Checks.equal("answered path", root + "/a", Clients.create(zk, root + "/a", "data"));
        Stat stat = new Stat();
        Checks.equal("data", "data", Clients.text(zk.getData(root + "/a", false, stat)));
        Checks.equal("czxid and mzxid", stat.getCzxid(), stat.getMzxid());
        Checks.equal("czxid and pzxid", stat.getCzxid(), stat.getPzxid());
        Checks.equal("times", stat.getCtime(), stat.getMtime());
        Checks.isTrue("ctime is now", Math.abs(System.currentTimeMillis() - stat.getCtime()) < 60_000);
        Checks.equal("versions", "0 0 0", stat.getVersion() + " " + stat.getCversion() + " " + stat.getAversion());
        Checks.equal("owner", 0L, stat.getEphemeralOwner());
        Checks.equal("length and children", "4 0", stat.getDataLength() + " " + stat.getNumChildren());
        Checks.equal("exists", stat, zk.exists(root + "/a", false));
        Checks.equal("exists of a missing znode", null, zk.exists(root + "/b", false));
    }

    private static void createWithStat(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Stat stat = new Stat();
        zk.create(root + "/a", Clients.bytes("x"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, stat);
        Checks.equal(zk.exists(root + "/a", false), stat);
    }

    private static void nullData(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        zk.create(root + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Checks.equal("data", null, zk.getData(root + "/a", false, null));
        zk.setData(root + "/a", new byte[0], -1);
        Checks.equal("length of empty data", 0, zk.getData(root + "/a", false, null).length);
        Stat stat = zk.setData(root + "/a", null, -1);
        Checks.equal("data length of null", 0, stat.getDataLength());
        Checks.equal("data", null, zk.getData(root + "/a", false, null));
    }

    private static void set(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Stat before = zk.exists(root, false);
        Stat after = zk.setData(root, Clients.bytes("longer"), -1);
        Checks.isTrue("mzxid grows", after.getMzxid() > before.getMzxid());
        Checks.isTrue("mtime does not go back", after.getMtime() >= before.getMtime());
        Checks.equal("version", 1, after.getVersion());
        Checks.equal("length", 6, after.getDataLength());
        before.setMzxid(after.getMzxid());
        before.setMtime(after.getMtime());
        before.setVersion(1);
        before.setDataLength(6);
        Checks.equal("all else", before, after);
        Checks.equal("as read back", after, zk.exists(root, false));
    }

    private static void conditional(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Checks.equal(1, zk.setData(root, null, 0).getVersion());
        Clients.refused(Code.BADVERSION, () -> zk.setData(root, null, 0));
        Checks.equal(2, zk.setData(root, null, 1).getVersion());
        Clients.refused(Code.BADVERSION, () -> zk.delete(root, 1));
        zk.delete(root, 2);
        Checks.equal(null, zk.exists(root, false));
    }

    private static void children(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Clients.create(zk, root + "/a", "");
        Clients.create(zk, root + "/b", "");
        Stat stat = new Stat();
        Checks.equal("names", new TreeSet<>(List.of("a", "b")), new TreeSet<>(zk.getChildren(root, false, stat)));
        Checks.equal("cversion, children", "2 2", stat.getCversion() + " " + stat.getNumChildren());
        Checks.equal("pzxid", zk.exists(root + "/b", false).getCzxid(), stat.getPzxid());
        zk.delete(root + "/b", -1);
        Stat after = zk.exists(root, false);
        Checks.equal("cversion, children", "3 1", after.getCversion() + " " + after.getNumChildren());
        Checks.isTrue("pzxid grows", after.getPzxid() > stat.getPzxid());
        Checks.equal("mzxid", stat.getMzxid(), after.getMzxid());
        zk.setData(root + "/a", null, -1);
        Checks.equal("a child's data", after, zk.exists(root, false));
    }

    private static void sequential(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Checks.equal(root + "/s-0000000000", Clients.create(zk, root + "/s-", "", CreateMode.PERSISTENT_SEQUENTIAL));
        Clients.create(zk, root + "/other", "");
        Checks.equal(root + "/s-0000000002", Clients.create(zk, root + "/s-", "", CreateMode.PERSISTENT_SEQUENTIAL));
        zk.delete(root + "/s-0000000002", -1);
        Checks.equal(root + "/s-0000000003", Clients.create(zk, root + "/s-", "", CreateMode.EPHEMERAL_SEQUENTIAL));
        Checks.equal(root + "/0000000004", Clients.create(zk, root + "/", "", CreateMode.PERSISTENT_SEQUENTIAL));
    }

    private static void ephemeral(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        try (Clients.Client owner = Clients.open()) {
            Clients.create(owner, root + "/e", "", CreateMode.EPHEMERAL);
            zk.sync(root);
            Checks.equal("owner", owner.getSessionId(), zk.exists(root + "/e", false).getEphemeralOwner());
            Clients.refused(Code.NOCHILDRENFOREPHEMERALS, () -> Clients.create(zk, root + "/e/child", ""));
            Checks.equal("list", List.of(root + "/e"), owner.getEphemerals());
            Checks.equal("list of another session", List.of(), zk.getEphemerals(root));
        }
        zk.sync(root);
        Checks.equal("after the close", null, zk.exists(root + "/e", false));
        Checks.equal("cversion of the parent", 2, zk.exists(root, false).getCversion());
    }

    private static void container(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Clients.create(zk, root + "/c", "", CreateMode.CONTAINER);
        // The server keeps a mark as the owner, which no client is shown.
        Checks.equal("owner", 0L, zk.exists(root + "/c", false).getEphemeralOwner());
        Clients.create(zk, root + "/c/child", "");
        zk.delete(root + "/c/child", -1);
        Checks.eventually("container", null, () -> zk.exists(root + "/c", false));
    }

    private static void ttl(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Stat stat = new Stat();
        zk.create(root + "/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, stat, 700);
        Checks.equal("owner", 0L, stat.getEphemeralOwner());
        zk.create(root + "/kept", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, stat, 700);
        Clients.create(zk, root + "/kept/child", "");
        Checks.eventually("TTL znode", null, () -> zk.exists(root + "/t", false));
        Checks.isTrue("a parent stays", zk.exists(root + "/kept", false) != null);
        zk.delete(root + "/kept/child", -1);
        Checks.eventually("emptied TTL znode", null, () -> zk.exists(root + "/kept", false));
    }

    private static void ttlSequential(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Checks.equal(root + "/t0000000000", zk.create(root + "/t", null, Ids.OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, null, 600_000));
        Checks.fails(IllegalArgumentException.class, () -> zk.create(root + "/t", null, Ids.OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT_WITH_TTL, null, 0));
    }

    private static void getEphemerals(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        for (String name : List.of("a1", "a2", "b1")) {
            Clients.create(zk, root + "/" + name, "", CreateMode.EPHEMERAL);
        }
        Checks.equal("prefix a", new TreeSet<>(List.of(root + "/a1", root + "/a2")),
            new TreeSet<>(zk.getEphemerals(root + "/a")));
        Checks.isTrue("all of the session", zk.getEphemerals().containsAll(List.of(root + "/a1", root + "/b1")));
        Checks.equal("no match", List.of(), zk.getEphemerals(root + "/c"));
    }

    private static void allChildren(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Clients.create(zk, root + "/a", "");
        Clients.create(zk, root + "/a/b", "");
        Clients.create(zk, root + "/a/b/c", "");
        Checks.equal(3, zk.getAllChildrenNumber(root));
        Checks.equal(0, zk.getAllChildrenNumber(root + "/a/b/c"));
        Clients.refused(Code.NONODE, () -> zk.getAllChildrenNumber(root + "/x"));
    }

    private static void sync(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        java.util.concurrent.CompletableFuture<String> answer = new java.util.concurrent.CompletableFuture<>();
        AsyncCallback.VoidCallback done = (rc, path, ctx) -> answer.complete(rc + " " + path);
        zk.sync(root + "/missing", done, null);
        Checks.equal("0 " + root + "/missing", answer.get());
        zk.sync(root);
    }

    private static void config(Clients.Client zk) throws Exception {
        Stat stat = new Stat();
        String config = Clients.text(zk.getConfig(false, stat));
        int members = Clients.CONNECT.split(",").length;
        if (members == 1) {
            Checks.equal("data", "", config);
        } else {
            Checks.equal("lines", members + 1, config.split("\n").length);
            Checks.isTrue("version of " + config, config.endsWith("\nversion=0"));
        }
        Checks.equal("czxid", 0L, stat.getCzxid());
        Checks.equal("aversion", -1, stat.getAversion());
    }

    private static void unicode(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        for (String name : List.of("zażółć", "漢字", "пример", "space in name", "dots..inside", "...")) {
            Checks.equal(root + "/" + name, Clients.create(zk, root + "/" + name, name + " 😀"));
            Checks.equal("data", name + " 😀", Clients.text(zk.getData(root + "/" + name, false, null)));
            Checks.isTrue("listed: " + name, zk.getChildren(root, false).contains(name));
        }
    }

    private static void chroot() throws Exception {
        String root;
        try (Clients.Client zk = Clients.open()) {
            root = Clients.root(zk);
        }
        try (Clients.Client inside = Clients.open(Clients.CONNECT + root, Clients.TIMEOUT_MS);
             Clients.Client zk = Clients.open()) {
            inside.exists("/a", true);
            Checks.equal("path", "/a", Clients.create(inside, "/a", "x"));
            inside.events.expect("NodeCreated /a");
            zk.sync(root);
            Checks.equal("from outside", "x", Clients.text(zk.getData(root + "/a", false, null)));
            Checks.equal("children", List.of("a"), inside.getChildren("/", false));
            Checks.equal("path of the error", "/b",
                Clients.refused(Code.NONODE, () -> inside.delete("/b", -1)).getPath());
            Checks.equal("sequential", "/s0000000001", Clients.create(inside, "/s", "", CreateMode.EPHEMERAL_SEQUENTIAL));
        }
        try (Clients.Client nowhere = Clients.open(Clients.CONNECT + "/no/such/root", Clients.TIMEOUT_MS)) {
            Clients.refused(Code.NONODE, () -> Clients.create(nowhere, "/a", ""));
        }
    }
}
