import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;

/** The recipes over the server's death: kill -9 and a new start. */
final class Restarts {

    private final CuratorFramework client;
    private final CuratorFramework other;

    Restarts(CuratorFramework client, CuratorFramework other) {
        this.client = client;
        this.other = other;
    }

    void run() {
        Checks.check("kill -9 and start: lock, latch and cache live on", this::restart);
    }

    private void restart() throws Exception {
        InterProcessMutex mutex = new InterProcessMutex(client, "/restart-mutex");
        mutex.acquire();
        try (LeaderLatch latch = new LeaderLatch(client, "/restart-latch", "mine");
             CuratorCache cache = CuratorCache.build(client, "/restart-cache")) {
            latch.start();
            Checks.isTrue("leads", latch.await(30, TimeUnit.SECONDS));
            cache.start();
            other.create().forPath("/restart-cache", new byte[] {1});
            Checks.eventually("cached", true, () -> cache.get("/restart-cache").isPresent());
            Checks.control("kill9");
            Checks.control("start");
            other.setData().forPath("/restart-cache", new byte[] {2});
            Checks.eventually("cached", (byte) 2, () -> cache.get("/restart-cache").map(ChildData::getData).get()[0]);
            Checks.isTrue("leads again", latch.await(30, TimeUnit.SECONDS));
            Checks.equal("the lock is held", false,
                new InterProcessMutex(other, "/restart-mutex").acquire(300, TimeUnit.MILLISECONDS));
            mutex.release();
            InterProcessMutex next = new InterProcessMutex(other, "/restart-mutex");
            Checks.isTrue("the lock goes on", next.acquire(30, TimeUnit.SECONDS));
            next.release();
        }
    }
}
