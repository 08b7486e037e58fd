import java.io.File;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.dubbo.common.config.configcenter.ConfigItem;
import org.apache.dubbo.common.config.configcenter.DynamicConfiguration;
import org.apache.dubbo.common.config.configcenter.wrapper.CompositeDynamicConfiguration;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;
import org.apache.zookeeper.ZooKeeper;

/**
 * Dubbo 3 with ZooKeeper as registry, config center and metadata report: a consumer here, providers in processes of their
 * own, which come, go and die; at last the server dies and comes back.
 */
public final class Main {

    private static final String GROUP = "dubbo";
    /** Interface, empty version, empty group: how Dubbo names the rules of a service. */
    private static final String RULE = "Greeter::.configurators";

    private final Path folder;
    private final Map<String, Process> providers = new HashMap<>();
    private final Map<String, File> logs = new HashMap<>();
    private ZooKeeper zk;
    private DubboBootstrap consumer;
    private Greeter byInterface;
    private Greeter byApplication;

    private Main(Path folder) {
        this.folder = folder;
        Runtime.getRuntime().addShutdownHook(new Thread(this::killAll));
    }

    public static void main(String[] args) throws Exception {
        Main main = new Main(Path.of(args[0]));
        main.run();
        main.killAll();
        Checks.finish();
    }

    private void run() throws Exception {
        zk = new ZooKeeper(System.getenv("ZK_CONNECT"), 40_000, event -> { });
        check("a provider registers its interface, its application and its metadata", this::register);
        check("a consumer discovers it by interface and by application", this::discover);
        check("a second provider is noticed and called", this::second);
        check("config center: publish, read, listen, compare and set, remove", this::configCenter);
        check("a rule in the config center reaches the consumer", this::rule);
        check("a provider that stops is unregistered", this::stops);
        check("a provider that is killed is unregistered when its session expires", this::killed);
        check("kill -9 of the server: calls go on, registrations live on, new ones are noticed", this::serverDies);
    }

    private void check(String name, Checks.Body body) {
        Checks.check(name, () -> {
            try {
                body.run();
            } catch (Throwable e) {
                for (Map.Entry<String, File> log : logs.entrySet()) {
                    List<String> lines = Files.readAllLines(log.getValue().toPath());
                    System.out.println("the end of the log of provider " + log.getKey() + ":");
                    lines.subList(Math.max(0, lines.size() - 15), lines.size()).forEach(System.out::println);
                }
                throw e;
            }
        });
    }

    private void start(String name) throws Exception {
        int port;
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = probe.getLocalPort();
        }
        logs.put(name, folder.resolve(name + ".log").toFile());
        providers.put(name, new ProcessBuilder(ProcessHandle.current().info().command().orElse("java"), "-Xmx256m",
            "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Ddubbo.application.logger=slf4j",
            "-cp", System.getProperty("java.class.path"), "Provider", name, "" + port)
            .redirectErrorStream(true).redirectOutput(logs.get(name)).start());
    }

    private void killAll() {
        providers.values().forEach(Process::destroyForcibly);
    }

    private Set<String> children(String path) throws Exception {
        return new TreeSet<>(zk.getChildren(path, false));
    }

    private int providersSeen() throws Exception {
        return children("/dubbo/Greeter/providers").size();
    }

    /** The names of the providers that answer calls, from enough calls to meet each. */
    private static Set<String> answering(Greeter greeter) {
        Set<String> names = new TreeSet<>();
        for (int i = 0; i < 40; i++) {
            names.add(greeter.greet("hello").replaceFirst(": hello$", ""));
        }
        return names;
    }

    private void bothSee(Set<String> names) throws Exception {
        Checks.eventually("answering by interface", names, () -> answering(byInterface));
        Checks.eventually("answering by application", names, () -> answering(byApplication));
    }

    private void register() throws Exception {
        start("one");
        Checks.eventually("providers", 1, this::providersSeen);
        String provider = children("/dubbo/Greeter/providers").iterator().next();
        Checks.isTrue("ephemeral", zk.exists("/dubbo/Greeter/providers/" + provider, false).getEphemeralOwner() != 0);
        Checks.eventually("application", 1, () -> children("/services/provider").size());
        Checks.eventually("mapping", "provider", () -> new String(zk.getData("/dubbo/mapping/Greeter", false, null),
            StandardCharsets.UTF_8));
        Checks.eventually("metadata", true, () -> !children("/dubbo/metadata").isEmpty());
    }

    private ReferenceConfig<Greeter> reference(String migration) {
        ReferenceConfig<Greeter> reference = new ReferenceConfig<>();
        reference.setInterface(Greeter.class);
        reference.setInjvm(false);
        reference.setTimeout(5_000);
        reference.setParameters(new HashMap<>(Map.of("migration.step", migration)));
        return reference;
    }

    private void discover() throws Exception {
        ReferenceConfig<Greeter> first = reference("FORCE_INTERFACE");
        ReferenceConfig<Greeter> second = reference("FORCE_APPLICATION");
        // Two references to one service need names to be told apart.
        first.setId("by-interface");
        second.setId("by-application");
        consumer = Registry.bootstrap("consumer").reference(first).reference(second);
        consumer.start();
        byInterface = first.get();
        byApplication = second.get();
        bothSee(Set.of("one"));
        Checks.eventually("consumers", true, () -> !children("/dubbo/Greeter/consumers").isEmpty());
    }

    private void second() throws Exception {
        start("two");
        Checks.eventually("providers", 2, this::providersSeen);
        bothSee(Set.of("one", "two"));
    }

    /** The one for ZooKeeper, out of the composite that does not hand compare and set on. */
    private DynamicConfiguration configuration() {
        DynamicConfiguration all =
            consumer.getApplicationModel().modelEnvironment().getDynamicConfiguration().orElseThrow();
        return ((CompositeDynamicConfiguration) all).getInnerConfigurations().iterator().next();
    }

    private void configCenter() throws Exception {
        DynamicConfiguration center = configuration();
        BlockingQueue<String> changes = new LinkedBlockingQueue<>();
        center.addListener("key", GROUP, event -> changes.add(event.getChangeType() + " " + event.getContent()));
        Checks.isTrue("published", center.publishConfig("key", GROUP, "first"));
        Checks.equal("ADDED first", changes.poll(30, TimeUnit.SECONDS));
        Checks.equal("first", center.getConfig("key", GROUP));
        // From another session, as an operator would.
        zk.setData("/dubbo/config/dubbo/key", "second".getBytes(StandardCharsets.UTF_8), -1);
        Checks.equal("MODIFIED second", changes.poll(30, TimeUnit.SECONDS));
        ConfigItem item = center.getConfigItem("key", GROUP);
        Checks.isTrue("compare and set", center.publishConfigCas("key", GROUP, "third", item.getTicket()));
        Checks.equal("MODIFIED third", changes.poll(30, TimeUnit.SECONDS));
        Checks.equal("stale compare and set", false, center.publishConfigCas("key", GROUP, "fourth", item.getTicket()));
        Checks.isTrue("removed", center.removeConfig("key", GROUP));
        Checks.isTrue("told", String.valueOf(changes.poll(30, TimeUnit.SECONDS)).startsWith("DELETED"));
    }

    private void rule() throws Exception {
        configuration().publishConfig(RULE, GROUP, String.join("\n",
            "configVersion: v3.0", "scope: service", "key: Greeter", "enabled: true", "configs:",
            "  - side: consumer", "    parameters:", "      mock: force:return ruled"));
        Checks.eventually("answer", "ruled", () -> byInterface.greet("hello"));
        configuration().removeConfig(RULE, GROUP);
        bothSee(Set.of("one", "two"));
    }

    private void stops() throws Exception {
        providers.get("one").getOutputStream().close();
        Checks.isTrue("ended", providers.get("one").waitFor(60, TimeUnit.SECONDS));
        Checks.eventually("providers", 1, this::providersSeen);
        Checks.eventually("application", 1, () -> children("/services/provider").size());
        bothSee(Set.of("two"));
    }

    private void killed() throws Exception {
        start("three");
        bothSee(Set.of("two", "three"));
        providers.get("two").destroyForcibly().waitFor();
        Checks.eventually("providers", 1, this::providersSeen);
        Checks.eventually("application", 1, () -> children("/services/provider").size());
        bothSee(Set.of("three"));
    }

    private void serverDies() throws Exception {
        Checks.control("kill9");
        Checks.equal(Set.of("three"), answering(byInterface));
        Checks.equal(Set.of("three"), answering(byApplication));
        Checks.control("start");
        Checks.eventually("providers", 1, this::providersSeen);
        start("four");
        Checks.eventually("providers", 2, this::providersSeen);
        bothSee(Set.of("three", "four"));
        BlockingQueue<String> changes = new LinkedBlockingQueue<>();
        configuration().addListener("after", GROUP, event -> changes.add(event.getContent()));
        configuration().publishConfig("after", GROUP, "pushed");
        Checks.equal("pushed", changes.poll(30, TimeUnit.SECONDS));
    }
}
