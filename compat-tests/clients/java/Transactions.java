import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** multi, its transaction builder, and multiRead: all or nothing, one zxid, each result. */
final class Transactions {

    private Transactions() {
    }

    static void run() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            Checks.check("multi: every kind of operation, one zxid", () -> everyKind(zk));
            Checks.check("multi: a later operation sees an earlier one", () -> seesEarlier(zk));
            Checks.check("multi: one failure undoes all and is told per operation", () -> allOrNothing(zk));
            Checks.check("multi: check of a version", () -> checkVersion(zk));
            Checks.check("multi: empty", () -> Checks.equal(List.of(), zk.multi(List.of())));
            Checks.check("multi: create modes", () -> modes(zk));
            Checks.check("transaction builder", () -> builder(zk));
            Checks.check("asynchronous multi tells each error", () -> asynchronous(zk));
            Checks.check("multi fires its watches in the order of its operations", () -> watches(zk));
            Checks.check("multiRead: data and children, errors in their places", () -> reads(zk));
            Checks.check("multi of 1,000 operations", () -> large(zk));
        }
    }

    private static void everyKind(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Clients.create(zk, root + "/old", "");
        List<OpResult> results = zk.multi(List.of(
            Op.check(root, 0),
            Op.create(root + "/new", Clients.bytes("x"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.setData(root, Clients.bytes("data"), 0),
            Op.delete(root + "/old", 0)));
        Checks.equal("kinds", List.of("CheckResult", "CreateResult", "SetDataResult", "DeleteResult"),
            results.stream().map(result -> result.getClass().getSimpleName()).toList());
        OpResult.CreateResult created = (OpResult.CreateResult) results.get(1);
        Stat set = ((OpResult.SetDataResult) results.get(2)).getStat();
        Checks.equal("created path", root + "/new", created.getPath());
        Checks.equal("Stat of the set", 4, set.getDataLength());
        Stat parent = zk.exists(root, false);
        Checks.equal("zxid of the create", set.getMzxid(), zk.exists(root + "/new", false).getCzxid());
        Checks.equal("zxid of the delete", set.getMzxid(), parent.getPzxid());
    }

    private static void seesEarlier(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        zk.multi(List.of(
            Op.create(root + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.create(root + "/a/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.setData(root + "/a", Clients.bytes("x"), 0),
            Op.check(root + "/a", 1),
            Op.delete(root + "/a/b", 0),
            Op.delete(root + "/a", 1)));
        Checks.equal(null, zk.exists(root + "/a", false));
        Checks.equal("cversion", 2, zk.exists(root, false).getCversion());
    }

    private static void allOrNothing(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Stat before = zk.exists(root, false);
        KeeperException e = Clients.refused(Code.NONODE, () -> zk.multi(List.of(
            Op.create(root + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.setData(root + "/missing", null, -1),
            Op.delete(root + "/never", -1),
            Op.check(root, 0))));
        Checks.equal("results", List.of(0, Code.NONODE.intValue(), Code.RUNTIMEINCONSISTENCY.intValue(),
            Code.RUNTIMEINCONSISTENCY.intValue()),
            e.getResults().stream().map(result -> ((OpResult.ErrorResult) result).getErr()).toList());
        Checks.equal("nothing is created", null, zk.exists(root + "/a", false));
        Checks.equal("Stat", before, zk.exists(root, false));
        Checks.equal("next number", root + "/s0000000000",
            Clients.create(zk, root + "/s", "", CreateMode.PERSISTENT_SEQUENTIAL));
    }

    private static void checkVersion(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        zk.multi(List.of(Op.check(root, 0), Op.check(root, -1)));
        Clients.refused(Code.BADVERSION, () -> zk.multi(List.of(Op.check(root, 1))));
        Clients.refused(Code.NONODE, () -> zk.multi(List.of(Op.check(root + "/x", -1))));
    }

    private static void modes(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        List<OpResult> results = zk.multi(List.of(
            Op.create(root + "/e", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL),
            Op.create(root + "/s", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
            Op.create(root + "/s", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL),
            Op.create(root + "/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
            Op.create(root + "/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, 600_000)));
        Checks.equal(List.of(root + "/e", root + "/s0000000001", root + "/s0000000002", root + "/c", root + "/t"),
            results.stream().map(result -> ((OpResult.CreateResult) result).getPath()).toList());
        Checks.equal("owner", zk.getSessionId(), zk.exists(root + "/e", false).getEphemeralOwner());
    }

    private static void builder(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        List<OpResult> results = zk.transaction()
            .create(root + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
            .check(root + "/a", 0)
            .setData(root + "/a", Clients.bytes("x"), 0)
            .commit();
        Checks.equal(3, results.size());
        Checks.equal("x", Clients.text(zk.getData(root + "/a", false, null)));
    }

    private static void asynchronous(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        CompletableFuture<String> answer = new CompletableFuture<>();
        zk.multi(List.of(Op.setData(root, null, 3), Op.delete(root, -1)), (rc, path, ctx, results) -> {
            List<Integer> codes = new ArrayList<>();
            results.forEach(result -> codes.add(((OpResult.ErrorResult) result).getErr()));
            answer.complete(rc + " " + codes);
        }, null);
        Checks.equal("-103 [-103, -2]", answer.get());
    }

    private static void watches(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Clients.create(zk, root + "/b", "");
        Clients.create(zk, root + "/c", "");
        try (Clients.Client other = Clients.open()) {
            other.sync(root);
            other.exists(root + "/a", true);
            other.getData(root + "/b", true, null);
            other.getData(root + "/c", true, null);
            other.getChildren(root, true);
            zk.multi(List.of(
                Op.setData(root + "/b", null, -1),
                Op.create(root + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.delete(root + "/c", -1)));
            other.events.expect("NodeDataChanged " + root + "/b", "NodeCreated " + root + "/a",
                "NodeChildrenChanged " + root, "NodeDeleted " + root + "/c");
        }
    }

    private static void reads(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        Clients.create(zk, root + "/a", "data");
        List<OpResult> results = zk.multi(List.of(
            Op.getData(root + "/a"), Op.getChildren(root), Op.getData(root + "/x"), Op.getChildren(root + "/x")));
        OpResult.GetDataResult data = (OpResult.GetDataResult) results.get(0);
        Checks.equal("data", "data", Clients.text(data.getData()));
        Checks.equal("Stat", zk.exists(root + "/a", false), data.getStat());
        Checks.equal("children", List.of("a"), ((OpResult.GetChildrenResult) results.get(1)).getChildren());
        Checks.equal("error", Code.NONODE.intValue(), ((OpResult.ErrorResult) results.get(2)).getErr());
        Checks.equal("error", Code.NONODE.intValue(), ((OpResult.ErrorResult) results.get(3)).getErr());
    }

    private static void large(Clients.Client zk) throws Exception {
        String root = Clients.root(zk);
        List<Op> ops = new ArrayList<>();
        for (int i = 0; i < 1_000; i++) {
            ops.add(Op.create(root + "/n", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL));
        }
        List<OpResult> results = zk.multi(ops);
        Checks.equal(root + "/n0000000999", ((OpResult.CreateResult) results.get(999)).getPath());
        Checks.equal("cversion", 1_000, zk.exists(root, false).getCversion());
    }
}
