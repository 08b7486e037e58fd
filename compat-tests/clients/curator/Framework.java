import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.x.async.AsyncCuratorFramework;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;

/** The framework under the recipes: builders, transactions, background calls, watches. */
final class Framework {

    private final CuratorFramework client;
    private final CuratorFramework other;

    Framework(CuratorFramework client, CuratorFramework other) {
        this.client = client;
        this.other = other;
    }

    void run() {
        Checks.check("create with parents, containers, protection, TTL", this::creation);
        Checks.check("set, delete with children, guaranteed", this::changes);
        Checks.check("namespace", this::namespace);
        Checks.check("transactions", this::transactions);
        Checks.check("background calls", this::background);
        Checks.check("asynchronous DSL", this::asynchronous);
        Checks.check("persistent recursive watch", this::watches);
    }

    private void creation() throws Exception {
        Checks.equal("/f/a/b", client.create().creatingParentsIfNeeded().forPath("/f/a/b", new byte[] {1}));
        client.create().creatingParentContainersIfNeeded().forPath("/f-containers/a");
        client.delete().forPath("/f-containers/a");
        Checks.eventually("container", null, () -> client.checkExists().forPath("/f-containers"));
        String path = client.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/f/p-");
        Checks.isTrue(path, path.matches("/f/_c_[0-9a-f-]{36}-p-0000000001"));
        client.create().withTtl(500).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/f/ttl");
        Checks.eventually("TTL", null, () -> client.checkExists().forPath("/f/ttl"));
        Checks.equal("/f/a/b", client.create().orSetData().forPath("/f/a/b", new byte[] {2}));
        Checks.equal((byte) 2, client.getData().forPath("/f/a/b")[0]);
    }

    private void changes() throws Exception {
        client.create().creatingParentsIfNeeded().forPath("/g/a/b/c");
        Stat stat = client.setData().withVersion(0).forPath("/g/a", new byte[3]);
        Checks.equal("version", 1, stat.getVersion());
        Checks.fails(KeeperException.BadVersionException.class,
            () -> client.setData().withVersion(0).forPath("/g/a", new byte[3]));
        Checks.fails(KeeperException.NotEmptyException.class, () -> client.delete().forPath("/g/a"));
        client.delete().guaranteed().deletingChildrenIfNeeded().forPath("/g");
        Checks.equal(null, client.checkExists().forPath("/g"));
        client.delete().quietly().forPath("/g");
    }

    private void namespace() throws Exception {
        CuratorFramework inside = client.usingNamespace("space");
        Checks.equal("/a", inside.create().forPath("/a"));
        Checks.equal(List.of("a"), client.getChildren().forPath("/space"));
    }

    private void transactions() throws Exception {
        List<CuratorTransactionResult> results = client.transaction().forOperations(
            client.transactionOp().create().forPath("/t", new byte[1]),
            client.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath("/t/s"),
            client.transactionOp().setData().withVersion(0).forPath("/t", new byte[2]),
            client.transactionOp().check().withVersion(1).forPath("/t"),
            client.transactionOp().delete().forPath("/t/s0000000000"));
        Checks.equal("/t/s0000000000", results.get(1).getResultPath());
        Checks.equal(1, results.get(2).getResultStat().getVersion());
        Checks.fails(KeeperException.NoNodeException.class, () -> client.transaction().forOperations(
            client.transactionOp().create().forPath("/t/a"), client.transactionOp().delete().forPath("/t/missing")));
        Checks.equal(null, client.checkExists().forPath("/t/a"));
    }

    private void background() throws Exception {
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        client.create().inBackground((c, event) -> events.add(event.getType() + " " + event.getResultCode()))
            .forPath("/bg");
        Checks.equal("CREATE 0", events.poll(20, TimeUnit.SECONDS));
        client.getData().inBackground((c, event) -> events.add(event.getType() + " " + event.getResultCode()))
            .forPath("/bg/missing");
        Checks.equal("GET_DATA -101", events.poll(20, TimeUnit.SECONDS));
        client.sync().forPath("/bg");
    }

    private void asynchronous() throws Exception {
        AsyncCuratorFramework async = AsyncCuratorFramework.wrap(client);
        Checks.equal("/async", async.create().forPath("/async").toCompletableFuture().get(20, TimeUnit.SECONDS));
        byte[] data = async.setData().forPath("/async", new byte[] {7})
            .thenCompose(stat -> async.getData().forPath("/async")).toCompletableFuture().get(20, TimeUnit.SECONDS);
        Checks.equal((byte) 7, data[0]);
    }

    private void watches() throws Exception {
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        client.create().forPath("/watched");
        client.watchers().add().withMode(AddWatchMode.PERSISTENT_RECURSIVE)
            .usingWatcher((org.apache.zookeeper.Watcher) event -> events.add(event.getType() + " " + event.getPath()))
            .forPath("/watched");
        other.create().forPath("/watched/a");
        other.setData().forPath("/watched/a", new byte[1]);
        other.delete().forPath("/watched/a");
        for (String expected : List.of("NodeCreated", "NodeDataChanged", "NodeDeleted")) {
            Checks.equal(expected + " /watched/a", events.poll(20, TimeUnit.SECONDS));
        }
        client.watchers().removeAll().forPath("/watched");
        Checks.equal("PersistentWatchRemoved /watched", events.poll(20, TimeUnit.SECONDS));
    }
}
