import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;

/** Queues and counters. */
final class QueuesAndCounters {

    private final CuratorFramework client;
    private final CuratorFramework other;

    QueuesAndCounters(CuratorFramework client, CuratorFramework other) {
        this.client = client;
        this.other = other;
    }

    void run() {
        Checks.check("DistributedQueue: all once, in order", this::queue);
        Checks.check("DistributedQueue with locks", this::lockedQueue);
        Checks.check("DistributedPriorityQueue", this::priorityQueue);
        Checks.check("DistributedDelayQueue", this::delayQueue);
        Checks.check("SimpleDistributedQueue", this::simpleQueue);
        Checks.check("SharedCount: versioned, seen by the other", this::sharedCount);
        Checks.check("DistributedAtomicLong from four threads and two sessions", this::atomicLong);
        Checks.check("DistributedAtomicInteger: compare and set", this::atomicInteger);
    }

    private static final class Strings implements QueueSerializer<String> {
        @Override
        public byte[] serialize(String item) {
            return item.getBytes(StandardCharsets.UTF_8);
        }

        @Override
        public String deserialize(byte[] bytes) {
            return new String(bytes, StandardCharsets.UTF_8);
        }
    }

    private static final class Sink implements QueueConsumer<String> {
        final BlockingQueue<String> items = new LinkedBlockingQueue<>();

        @Override
        public void consumeMessage(String item) {
            items.add(item);
        }

        @Override
        public void stateChanged(CuratorFramework client, ConnectionState state) {
            // Nothing to do: the check waits for items.
        }

        List<String> take(int count) throws InterruptedException {
            List<String> taken = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                taken.add(items.poll(30, TimeUnit.SECONDS));
            }
            return taken;
        }
    }

    private static List<String> numbers(int count) {
        List<String> numbers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            numbers.add("item " + i);
        }
        return numbers;
    }

    private void queue() throws Exception {
        Sink sink = new Sink();
        try (DistributedQueue<String> in = QueueBuilder.<String>builder(client, null, new Strings(), "/queue").buildQueue();
             DistributedQueue<String> out = QueueBuilder.builder(other, sink, new Strings(), "/queue").buildQueue()) {
            in.start();
            for (String item : numbers(50)) {
                in.put(item);
            }
            Checks.isTrue("flushed", in.flushPuts(30, TimeUnit.SECONDS));
            out.start();
            Checks.equal("items", numbers(50), sink.take(50));
            Checks.eventually("left", 0, () -> client.getChildren().forPath("/queue").size());
        }
    }

    private void lockedQueue() throws Exception {
        Sink sink = new Sink();
        try (DistributedQueue<String> first = QueueBuilder.builder(client, sink, new Strings(), "/lqueue")
                 .lockPath("/lqueue-locks").buildQueue();
             DistributedQueue<String> second = QueueBuilder.builder(other, sink, new Strings(), "/lqueue")
                 .lockPath("/lqueue-locks").buildQueue()) {
            first.start();
            second.start();
            for (String item : numbers(20)) {
                first.put(item);
            }
            Checks.equal("items", numbers(20).stream().sorted().toList(), sink.take(20).stream().sorted().toList());
        }
    }

    private void priorityQueue() throws Exception {
        Sink sink = new Sink();
        try (DistributedPriorityQueue<String> in =
                 QueueBuilder.<String>builder(client, null, new Strings(), "/pqueue").buildPriorityQueue(0);
             DistributedPriorityQueue<String> out =
                 QueueBuilder.builder(other, sink, new Strings(), "/pqueue").buildPriorityQueue(0)) {
            in.start();
            in.put("late", 20);
            in.put("early", 3);
            in.put("first", -5);
            Checks.isTrue("flushed", in.flushPuts(30, TimeUnit.SECONDS));
            Main.catchUp(other);
            out.start();
            Checks.equal(List.of("first", "early", "late"), sink.take(3));
        }
    }

    private void delayQueue() throws Exception {
        Sink sink = new Sink();
        try (DistributedDelayQueue<String> queue =
                 QueueBuilder.builder(client, sink, new Strings(), "/dqueue").buildDelayQueue()) {
            queue.start();
            long start = System.currentTimeMillis();
            queue.put("second", start + 1_000);
            queue.put("first", start + 500);
            Checks.equal(List.of("first", "second"), sink.take(2));
            Checks.isTrue("not before its time", System.currentTimeMillis() >= start + 1_000);
        }
    }

    private void simpleQueue() throws Exception {
        SimpleDistributedQueue in = new SimpleDistributedQueue(client, "/simple");
        SimpleDistributedQueue out = new SimpleDistributedQueue(other, "/simple");
        in.offer(new byte[] {1});
        in.offer(new byte[] {2});
        Main.catchUp(other);
        Checks.equal((byte) 1, out.peek()[0]);
        Checks.equal((byte) 1, out.take()[0]);
        Checks.equal((byte) 2, out.poll(10, TimeUnit.SECONDS)[0]);
        Checks.equal(null, out.poll());
    }

    private void sharedCount() throws Exception {
        try (SharedCount mine = new SharedCount(client, "/count", 7); SharedCount theirs = new SharedCount(other, "/count", 0)) {
            mine.start();
            theirs.start();
            Checks.equal("seed", 7, theirs.getCount());
            mine.setCount(8);
            Checks.eventually("seen", 8, theirs::getCount);
            Checks.isTrue("versioned", theirs.trySetCount(theirs.getVersionedValue(), 9));
            Checks.eventually("seen back", 9, mine::getCount);
        }
    }

    private void atomicLong() throws Exception {
        List<Thread> threads = new ArrayList<>();
        for (CuratorFramework from : List.of(client, client, other, other)) {
            DistributedAtomicLong counter = new DistributedAtomicLong(from, "/along", new RetryNTimes(1_000, 5));
            Thread thread = new Thread(() -> {
                for (int done = 0; done < 25;) {
                    try {
                        AtomicValue<Long> value = counter.increment();
                        done += value.succeeded() ? 1 : 0;
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        Main.catchUp(client);
        Checks.equal(100L, new DistributedAtomicLong(client, "/along", new RetryNTimes(10, 5)).get().postValue());
    }

    private void atomicInteger() throws Exception {
        DistributedAtomicInteger value = new DistributedAtomicInteger(client, "/aint", new RetryNTimes(10, 5));
        Checks.isTrue("initialised", value.initialize(5));
        Checks.equal(false, value.compareAndSet(6, 7).succeeded());
        Checks.equal(true, value.compareAndSet(5, 7).succeeded());
        Main.catchUp(other);
        Checks.equal(7, new DistributedAtomicInteger(other, "/aint", new RetryNTimes(10, 5)).get().postValue());
    }
}
