import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryForever;

/** Curator's recipes against the server that ZK_CONNECT names; SERVER_CTL restarts it. */
public final class Main {

    private Main() {
    }

    static final String CONNECT = System.getenv("ZK_CONNECT");

    /** A started, connected client with a session of 20 seconds. */
    static CuratorFramework open() throws Exception {
        return open(CONNECT);
    }

    static CuratorFramework open(String connect) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder().connectString(connect)
            .sessionTimeoutMs(20_000).connectionTimeoutMs(10_000).retryPolicy(new RetryForever(100)).build();
        client.start();
        Checks.isTrue("connected", client.blockUntilConnected(30, TimeUnit.SECONDS));
        return client;
    }

    /** What others have written before is there for this client, whichever members of an ensemble they are with. */
    static void catchUp(CuratorFramework client) throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        client.sync().inBackground((c, event) -> done.countDown()).forPath("/");
        Checks.isTrue("synced", done.await(30, TimeUnit.SECONDS));
    }

    public static void main(String[] args) throws Exception {
        try (CuratorFramework client = open(); CuratorFramework other = open()) {
            new Framework(client, other).run();
            new Locks(client, other).run();
            new Leaders(client, other).run();
            new QueuesAndCounters(client, other).run();
            new Caches(client, other).run();
            new Nodes(client, other).run();
            new Discovery(client, other).run();
            new Restarts(client, other).run();
        }
        Checks.finish();
    }
}
