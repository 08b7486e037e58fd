import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.Stat;

/** What is refused, with which code and path, and that a refusal changes nothing. */
final class Errors {

    private Errors() {
    }

    static void run() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            Checks.check("create: NODEEXISTS, NONODE of the parent", () -> create(zk));
            Checks.check("read, set, delete of a missing znode: NONODE", () -> missing(zk));
            Checks.check("delete of a parent: NOTEMPTY", () -> notEmpty(zk));
            Checks.check("root and system znodes", () -> system(zk));
            Checks.check("a failed request leaves the parent's Stat", () -> untouched(zk));
            Checks.check("reconfig is disabled", Errors::reconfig);
            Checks.check("invalid paths sent by a client that does not check", () -> Checks.fails(
                IllegalArgumentException.class, () -> Clients.create(zk, "relative", "")));
        }
    }

    private static void create(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Checks.equal("path", root, Clients.refused(Code.NODEEXISTS, () -> Clients.create(zk, root, "")).getPath());
        Checks.equal("path", root + "/a/b",
            Clients.refused(Code.NONODE, () -> Clients.create(zk, root + "/a/b", "")).getPath());
        Clients.refused(Code.INVALIDACL, () -> zk.create(root + "/x", null, List.of(), CreateMode.PERSISTENT));
        Clients.refused(Code.NODEEXISTS, () -> Clients.create(zk, "/", ""));
    }

    private static void missing(Clients.Client zk) throws Exception {
        String path = Clients.root(zk) + "/missing";
        Clients.refused(Code.NONODE, () -> zk.getData(path, false, null));
        Clients.refused(Code.NONODE, () -> zk.getChildren(path, false));
        Clients.refused(Code.NONODE, () -> zk.getChildren(path, false, new Stat()));
        Clients.refused(Code.NONODE, () -> zk.getACL(path, new Stat()));
        Clients.refused(Code.NONODE, () -> zk.setData(path, null, -1));
        Clients.refused(Code.NONODE, () -> zk.setData(path, null, 7));
        Clients.refused(Code.NONODE, () -> zk.setACL(path, Ids.OPEN_ACL_UNSAFE, -1));
        Clients.refused(Code.NONODE, () -> zk.delete(path, -1));
        Clients.refused(Code.NONODE, () -> zk.delete(path, 7));
    }

    private static void notEmpty(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Clients.create(zk, root + "/a", "");
        Checks.equal("path", root, Clients.refused(Code.NOTEMPTY, () -> zk.delete(root, -1)).getPath());
        Clients.refused(Code.BADVERSION, () -> zk.delete(root, 3));
    }

    private static void system(Clients.Client zk) throws Exception {
        Clients.refused(Code.BADARGUMENTS, () -> zk.delete("/", -1));
        Clients.refused(Code.BADARGUMENTS, () -> zk.delete("/zookeeper", -1));
        Clients.refused(Code.BADARGUMENTS, () -> zk.delete("/zookeeper/quota", -1));
        Clients.refused(Code.NOAUTH, () -> zk.setData("/zookeeper/config", null, -1));
        Checks.equal("/zookeeper", List.of("config", "quota"),
            zk.getChildren("/zookeeper", false).stream().sorted().toList());
    }

    private static void untouched(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Clients.create(zk, root + "/a", "");
        Stat before = zk.exists(root, false);
        Clients.refused(Code.NODEEXISTS, () -> Clients.create(zk, root + "/a", ""));
        Clients.refused(Code.BADVERSION, () -> zk.delete(root + "/a", 5));
        Clients.refused(Code.BADVERSION, () -> zk.setData(root, null, 5));
        Clients.refused(Code.NONODE, () -> zk.delete(root + "/b", -1));
        Checks.equal("Stat", before, zk.exists(root, false));
        Checks.equal("next number", root + "/s0000000001",
            Clients.create(zk, root + "/s", "", CreateMode.PERSISTENT_SEQUENTIAL));
    }

    private static void reconfig() throws Exception {
        Clients.Events events = new Clients.Events();
        try (ZooKeeperAdmin admin = new ZooKeeperAdmin(Clients.CONNECT, Clients.TIMEOUT_MS, events)) {
            Clients.refused(Code.RECONFIGDISABLED,
                () -> admin.reconfigure("server.9=127.0.0.1:2888:3888;2181", null, null, -1, null));
        }
    }
}
