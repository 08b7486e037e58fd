import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.x.async.AsyncCuratorFramework;
import org.apache.curator.x.async.modeled.JacksonModelSerializer;
import org.apache.curator.x.async.modeled.ModelSpec;
import org.apache.curator.x.async.modeled.ModeledFramework;
import org.apache.curator.x.async.modeled.ZPath;
import org.apache.zookeeper.CreateMode;

/** Nodes that are kept alive, groups, typed nodes. */
final class Nodes {

    private final CuratorFramework client;
    private final CuratorFramework other;

    Nodes(CuratorFramework client, CuratorFramework other) {
        this.client = client;
        this.other = other;
    }

    void run() {
        Checks.check("PersistentNode is made again when it is deleted", this::persistentNode);
        Checks.check("PersistentTtlNode is touched, and goes after its close", this::ttlNode);
        Checks.check("GroupMember", this::group);
        Checks.check("ModeledFramework", this::modeled);
    }

    private void persistentNode() throws Exception {
        try (PersistentNode node = new PersistentNode(client, CreateMode.EPHEMERAL, false, "/pnode", new byte[] {1})) {
            node.start();
            Checks.isTrue("made", node.waitForInitialCreate(30, TimeUnit.SECONDS));
            Main.catchUp(other);
            long czxid = other.checkExists().forPath("/pnode").getCzxid();
            other.delete().forPath("/pnode");
            Checks.eventually("made again", true, () -> other.checkExists().forPath("/pnode").getCzxid() > czxid);
            node.setData(new byte[] {2});
            Checks.eventually("set", (byte) 2, () -> other.getData().forPath("/pnode")[0]);
        }
        Checks.eventually("gone", null, () -> other.checkExists().forPath("/pnode"));
    }

    private void ttlNode() throws Exception {
        try (PersistentTtlNode node = new PersistentTtlNode(client, "/ttlnode", 1_000, new byte[] {1})) {
            node.start();
            Checks.isTrue("made", node.waitForInitialCreate(30, TimeUnit.SECONDS));
            Main.catchUp(other);
            long czxid = other.checkExists().forPath("/ttlnode").getCzxid();
            // Touched through a child of its own: longer than the TTL, the same node must be there.
            Checks.eventually("touched", true, () -> other.checkExists().forPath("/ttlnode").getPzxid() > czxid + 1);
            Checks.equal("same node", czxid, other.checkExists().forPath("/ttlnode").getCzxid());
        }
        Checks.eventually("gone", null, () -> other.checkExists().forPath("/ttlnode"));
    }

    private void group() throws Exception {
        try (GroupMember first = new GroupMember(client, "/group", "first");
             GroupMember second = new GroupMember(other, "/group", "second", new byte[] {2})) {
            first.start();
            second.start();
            Checks.eventually("members", Set.of("first", "second"), () -> first.getCurrentMembers().keySet());
            second.close();
            Checks.eventually("after a leave", Set.of("first"), () -> first.getCurrentMembers().keySet());
        }
    }

    private void modeled() throws Exception {
        ModelSpec<String> spec = ModelSpec.builder(ZPath.parse("/modeled"), JacksonModelSerializer.build(String.class)).build();
        ModeledFramework<String> mine = ModeledFramework.wrap(AsyncCuratorFramework.wrap(client), spec);
        mine.set("value").toCompletableFuture().get(30, TimeUnit.SECONDS);
        Main.catchUp(other);
        ModeledFramework<String> theirs = ModeledFramework.wrap(AsyncCuratorFramework.wrap(other), spec);
        Checks.equal("value", theirs.read().toCompletableFuture().get(30, TimeUnit.SECONDS));
    }
}
