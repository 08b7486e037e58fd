import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Two Kafka brokers in ZooKeeper mode, as processes that can be killed and started again on the same data. */
final class Brokers {

    static final int COUNT = 2;

    private final Path folder;
    private final int[] ports = new int[COUNT];
    private final Process[] processes = new Process[COUNT];

    Brokers(Path folder) throws IOException {
        this.folder = folder;
        for (int id = 0; id < COUNT; id++) {
            ports[id] = freePort();
            Files.writeString(config(id), String.join("\n",
                "broker.id=" + id,
                "listeners=PLAINTEXT://127.0.0.1:" + ports[id],
                "log.dirs=" + folder.resolve("data-" + id),
                "zookeeper.connect=" + System.getenv("ZK_CONNECT") + "/kafka",
                "zookeeper.session.timeout.ms=6000",
                "zookeeper.connection.timeout.ms=30000",
                "authorizer.class.name=kafka.security.authorizer.AclAuthorizer",
                "super.users=User:ANONYMOUS",
                "default.replication.factor=2",
                "offsets.topic.replication.factor=2",
                "offsets.topic.num.partitions=2",
                "transaction.state.log.replication.factor=2",
                "transaction.state.log.min.isr=1",
                "transaction.state.log.num.partitions=2",
                "group.initial.rebalance.delay.ms=0",
                "num.network.threads=2",
                "num.io.threads=2",
                "log.cleaner.enable=false",
                ""));
        }
        Runtime.getRuntime().addShutdownHook(new Thread(this::killAll));
    }

    /** Ports that the kernel gives out are free now; a broker takes its port within seconds. */
    private static int freePort() throws IOException {
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return probe.getLocalPort();
        }
    }

    private Path config(int id) {
        return folder.resolve("broker-" + id + ".properties");
    }

    private File log(int id) {
        return folder.resolve("broker-" + id + ".log").toFile();
    }

    String bootstrap() {
        return "127.0.0.1:" + ports[0] + ",127.0.0.1:" + ports[1];
    }

    void start(int id) throws IOException {
        List<String> command = new ArrayList<>(List.of(
            ProcessHandle.current().info().command().orElse("java"), "-Xmx384m", "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", System.getenv("KAFKA_CLASSPATH"), "kafka.Kafka", config(id).toString()));
        processes[id] = new ProcessBuilder(command).redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(log(id))).start();
    }

    /** SIGKILL; the broker's session and its ephemeral znodes stay until they expire. */
    void kill(int id) throws InterruptedException {
        processes[id].destroyForcibly();
        Checks.isTrue("broker " + id + " is gone", processes[id].waitFor(30, TimeUnit.SECONDS));
    }

    /** SIGTERM: the broker hands its leaderships over and closes its session. */
    void stop(int id) throws InterruptedException {
        processes[id].destroy();
        Checks.isTrue("broker " + id + " is gone", processes[id].waitFor(60, TimeUnit.SECONDS));
    }

    boolean alive(int id) {
        return processes[id] != null && processes[id].isAlive();
    }

    void killAll() {
        for (Process process : processes) {
            if (process != null) {
                process.destroyForcibly();
            }
        }
    }

    /** The end of both logs, for a failure. */
    void printLogs() {
        for (int id = 0; id < COUNT; id++) {
            System.out.println("the end of the log of broker " + id + ":");
            try {
                List<String> lines = new ArrayList<>(Files.readAllLines(log(id).toPath()));
                lines.removeIf(line -> line.startsWith("\tat "));
                lines.subList(Math.max(0, lines.size() - 25), lines.size()).forEach(System.out::println);
            } catch (IOException e) {
                System.out.println("none: " + e);
            }
        }
    }
}
