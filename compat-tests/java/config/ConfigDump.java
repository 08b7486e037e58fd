// Reads configuration files with the classes of a real Apache ZooKeeper and prints what it made of
// them: all values of the case "minimal", and of the others those that differ. Each case gets a class loader and a set of system properties of its own, because most of
// ZooKeeper's switches are static. See README.md for how to run it.

import java.io.File;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.net.InetSocketAddress;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

public final class ConfigDump {
    private static final String[] WORDS = {
        "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok", "srst", "srvr", "stat",
        "stmk", "wchc", "wchp", "wchs"
    };

    /** Usage: ConfigDump folder-of-jars folder-of-cases. */
    public static void main(String[] args) throws Exception {
        List<URL> jars = new ArrayList<>();
        for (File jar : new File(args[0]).listFiles()) {
            jars.add(jar.toURI().toURL());
        }
        Properties before = (Properties) System.getProperties().clone();
        List<Path> cases;
        try (Stream<Path> files = Files.list(Paths.get(args[1]))) {
            cases = files.filter(file -> file.toString().endsWith(".cfg")).sorted().collect(Collectors.toList());
        }
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        // ZooKeeper logs to standard output.
        System.setOut(System.err);
        Path minimal = Paths.get(args[1], "minimal.cfg");
        cases.remove(minimal);
        cases.add(0, minimal);
        Map<String, Object> defaults = new TreeMap<>();
        for (Path file : cases) {
            System.setProperties((Properties) before.clone());
            setJvmProperties(file);
            out.println("== " + file.getFileName().toString().replace(".cfg", ""));
            try (URLClassLoader loader =
                    new URLClassLoader(jars.toArray(new URL[0]), ClassLoader.getPlatformClassLoader())) {
                Thread.currentThread().setContextClassLoader(loader);
                try {
                    Map<String, Object> values = new ConfigDump(loader).read(file.toString());
                    values.entrySet().removeIf(entry -> String.valueOf(entry.getValue()).equals(defaults.get(entry.getKey())));
                    values.forEach((name, value) -> out.println(name + "=" + value));
                    if (file == minimal) {
                        values.forEach((name, value) -> defaults.put(name, String.valueOf(value)));
                    }
                } catch (Throwable refused) {
                    out.println("refused");
                    if (System.getenv("WHY") != null) {
                        for (Throwable cause = refused; cause != null; cause = cause.getCause()) {
                            out.println("# " + cause);
                        }
                    }
                }
            }
        }
    }

    /** A line "# jvm: words" of the case holds the options that its JVM is to be started with. */
    private static void setJvmProperties(Path file) throws Exception {
        for (String line : new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1).split("[\r\n]+")) {
            if (!line.startsWith("# jvm: ")) {
                continue;
            }
            for (String word : line.substring("# jvm: ".length()).trim().split("\\s+")) {
                if (word.startsWith("-D")) {
                    String[] parts = word.substring(2).split("=", 2);
                    System.setProperty(parts[0], parts.length > 1 ? parts[1] : "");
                }
            }
        }
    }

    private static final String Z = "org.apache.zookeeper.";
    private final ClassLoader loader;
    private final Map<String, Object> values = new TreeMap<>();

    private ConfigDump(ClassLoader loader) {
        this.loader = loader;
    }

    private Map<String, Object> read(String path) throws Exception {
        Class<?> type = type("server.quorum.QuorumPeerConfig");
        Object config = type.getDeclaredConstructor().newInstance();
        call(config, "parse", path);
        readFile(config);
        readMembers(config);
        readServer();
        readThrottles();
        readStorage();
        readSecurity();
        return values;
    }

    private void readFile(Object config) throws Exception {
        values.put("clientPortAddress", address((InetSocketAddress) call(config, "getClientPortAddress")));
        for (String name : new String[] {
            "DataDir", "DataLogDir", "TickTime", "MaxClientCnxns", "MinSessionTimeout", "MaxSessionTimeout",
            "ClientPortListenBacklog", "SnapRetainCount", "ServerId", "PeerType"
        }) {
            values.put(name, call(config, "get" + name));
        }
        values.put("PurgeInterval", Math.max(0, (Integer) call(config, "getPurgeInterval")));
        values.put("ReconfigEnabled", call(config, "isReconfigEnabled"));
        values.put("Distributed", call(config, "isDistributed"));
    }

    private static String address(InetSocketAddress address) {
        if (address == null) {
            return "none";
        }
        String host = address.getAddress().isAnyLocalAddress() ? "any" : address.getAddress().getHostAddress();
        return host + " " + address.getPort();
    }

    private void readMembers(Object config) throws Exception {
        Object verifier = call(config, "getQuorumVerifier");
        values.put("members", new TreeSet<>(List.of(verifier.toString().split("\n"))).stream()
                .collect(Collectors.joining(" ")));
        Object next = call(config, "getLastSeenQuorumVerifier");
        values.put("nextMembers", next == null ? "none" : next.toString().replace("\n", " "));
    }

    private void readServer() throws Exception {
        Class<?> type = type("server.ZooKeeperServer");
        Object server = type.getDeclaredConstructor().newInstance();
        values.put("snapCount", call(type, server, "getSnapCount"));
        long bytes = (Long) call(type, server, "getSnapSizeInBytes");
        values.put("snapSizeLimitInKb", bytes > 0 ? bytes / 1024 : "none");
        values.put("globalOutstandingLimit", call(type, server, "getGlobalOutstandingLimit"));
        for (String name : new String[] {
        }) {
            values.put(name, field(type, server, name));
        }
        values.put("flushDelay", Math.max(0L, (Long) field(type, server, "flushDelay")));
        values.put("maxWriteQueuePollTime", Math.max(0L, (Long) field(type, server, "maxWriteQueuePollTime")));
        values.put("maxBatchSize", Math.max(0, (Integer) field(type, server, "maxBatchSize")));
        call(type, server, "initLargeRequestThrottlingSettings");
        values.put("largeRequestMaxBytes", field(type, server, "largeRequestMaxBytes"));
        values.put("largeRequestThreshold", field(type, server, "largeRequestThreshold"));
        Class<?> archive = Class.forName("org.apache.jute.BinaryInputArchive", true, loader);
        values.put("juteMaxBuffer", field(archive, null, "maxBuffer"));
        values.put("juteExtra", field(archive, null, "extraMaxBuffer"));
        Class<?> ephemeral = type("server.EphemeralType");
        values.put("extendedTypes", call(ephemeral, null, "extendedEphemeralTypesEnabled"));
        Class<?> words = type("server.command.FourLetterCommands");
        Method enabled = words.getMethod("isEnabled", String.class);
        List<String> allowed = new ArrayList<>();
        for (String word : WORDS) {
            if ((Boolean) enabled.invoke(null, word)) {
                allowed.add(word);
            }
        }
        values.put("4lw", String.join(",", allowed));
        Class<?> factory = type("server.NIOServerCnxnFactory");
        Object nio = factory.getDeclaredConstructor().newInstance();
        call(type("server.ServerCnxnFactory"), nio, "initMaxCnxns");
        values.put("maxCnxns", call(nio, "getMaxCnxns"));
    }

    private void readThrottles() throws Exception {
        Class<?> blue = type("server.BlueThrottle");
        for (String name : new String[] {
            "TOKENS", "FILL_TIME", "FILL_COUNT", "FREEZE_TIME", "DROP_INCREASE", "DROP_DECREASE", "DECREASE_RATIO"
        }) {
            values.put("throttle." + name, field(blue, null, "DEFAULT_CONNECTION_THROTTLE_" + name));
        }
        if ((Boolean) field(blue, null, "connectionWeightEnabled")) {
            for (String name : new String[] {"GLOBAL", "RENEW", "LOCAL"}) {
                values.put("throttle.weight." + name, field(blue, null, "DEFAULT_" + name + "_SESSION_WEIGHT"));
            }
        }
        Class<?> requests = type("server.RequestThrottler");
        values.put("request.max", Math.max(0, (Integer) field(requests, null, "maxRequests")));
        values.put("request.stall", Math.max(0, (Integer) field(requests, null, "stallTime")));
        Class<?> request = type("server.Request");
    }

    private void readStorage() throws Exception {
        Class<?> log = type("server.persistence.FileTxnLog");
        Object one = log.getConstructor(File.class).newInstance(new File("."));
        values.put("forceSync", field(log, one, "forceSync"));
        values.put("fsyncWarningMs", Math.max(0L, (Long) field(log, null, "fsyncWarningThresholdMS")));
        Class<?> padding = type("server.persistence.FilePadding");
        values.put("preAllocKb", Math.max(0L, (Long) field(padding, null, "preAllocSize")) / 1024);
    }

    private void readSecurity() throws Exception {
        call(type("server.auth.ProviderRegistry"), null, "initialize");
        Class<?> digest = type("server.auth.DigestAuthenticationProvider");
        Object provider = type("server.auth.ProviderRegistry").getMethod("getProvider", String.class)
                .invoke(null, "digest");
        values.put("digestAuth", provider != null);
        values.put("digestAlg", java.security.MessageDigest.getInstance((String) field(digest, null, "DIGEST_ALGORITHM"))
                .getDigestLength());
        values.put("superDigest", field(digest, null, "superDigest"));
        Class<?> helper = type("server.AuthenticationHelper");
        Object auth = helper.getDeclaredConstructor().newInstance();
        boolean enforced = (Boolean) field(helper, auth, "enforceAuthEnabled");
        values.put("enforceAuth", enforced
                ? String.join(",", new TreeSet<String>((Collection<String>) field(helper, auth, "enforceAuthSchemes")))
                : "none");
    }

    private Class<?> type(String name) throws Exception {
        return Class.forName(Z + name, true, loader);
    }

    private static Object call(Object target, String name, String... arguments) throws Exception {
        Class<?>[] types = Stream.of(arguments).map(Object::getClass).toArray(Class<?>[]::new);
        return target.getClass().getMethod(name, types).invoke(target, (Object[]) arguments);
    }

    private static Object call(Class<?> type, Object target, String name) throws Exception {
        Method method = type.getDeclaredMethod(name);
        method.setAccessible(true);
        return method.invoke(target);
    }

    private static Object field(Class<?> type, Object target, String name) throws Exception {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field.get(target);
    }
}
