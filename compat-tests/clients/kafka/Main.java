import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Kafka in ZooKeeper mode on the server that ZK_CONNECT names: topics, records, what Kafka keeps in ZooKeeper, the death of
 * the controller, the death of the server. Every record that was acknowledged must be read at the end.
 */
public final class Main {

    private static final String TOPIC = "events";

    private final Brokers brokers;
    private final Properties common = new Properties();
    private final Set<String> acknowledged = new TreeSet<>();
    private Admin admin;
    private int next;

    private Main(Path folder) throws Exception {
        brokers = new Brokers(folder);
        common.put("bootstrap.servers", brokers.bootstrap());
        common.put("request.timeout.ms", "10000");
        common.put("default.api.timeout.ms", "60000");
        common.put("reconnect.backoff.max.ms", "500");
    }

    public static void main(String[] args) throws Exception {
        Main main = new Main(Path.of(args[0]));
        main.run();
        main.brokers.killAll();
        Checks.finish();
    }

    private void run() {
        check("two brokers register", () -> {
            brokers.start(0);
            brokers.start(1);
            admin = Admin.create(common);
            Checks.eventually("brokers", Brokers.COUNT, this::brokersSeen);
        });
        check("create topics", () -> {
            admin.createTopics(List.of(new NewTopic(TOPIC, 3, (short) 2), new NewTopic("other", 1, (short) 2))).all().get();
            Checks.eventually("topics", true, () -> admin.listTopics().names().get().containsAll(Set.of(TOPIC, "other")));
            Checks.eventually("replicas in sync", 6, () -> replicasInSync(TOPIC));
        });
        check("produce and consume", () -> {
            produce(100);
            Checks.equal("records", acknowledged, consumeAll());
        });
        check("topic configuration, more partitions", this::configuration);
        check("ACLs, SCRAM credentials, client quotas", this::security);
        check("delete a topic", () -> {
            admin.deleteTopics(List.of("other")).all().get();
            Checks.eventually("topics", false, () -> admin.listTopics().names().get().contains("other"));
        });
        check("kill -9 of the controller: the other takes over", this::controllerDies);
        check("kill -9 of ZooKeeper while records flow", this::zooKeeperDies);
        check("ZooKeeper away for longer than the brokers' session", this::zooKeeperAway);
        check("a clean stop of the controller", this::controllerStops);
        check("nothing acknowledged is lost", () -> Checks.equal("missing records", Set.of(), missing()));
    }

    private void check(String name, Checks.Body body) {
        Checks.check(name, () -> {
            try {
                body.run();
            } catch (Throwable e) {
                brokers.printLogs();
                throw e;
            }
        });
    }

    private int brokersSeen() throws Exception {
        return admin.describeCluster().nodes().get().size();
    }

    private int controller() throws Exception {
        return admin.describeCluster().controller().get().id();
    }

    private int replicasInSync(String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().stream()
            .mapToInt(partition -> partition.isr().size()).sum();
    }

    private KafkaProducer<String, String> producer() {
        Properties properties = new Properties();
        properties.putAll(common);
        properties.put("acks", "all");
        properties.put("delivery.timeout.ms", "60000");
        return new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
    }

    private void produce(int count) throws Exception {
        try (KafkaProducer<String, String> producer = producer()) {
            produce(producer, count);
        }
    }

    /** Sends records and waits for each acknowledgement; only then a record counts. */
    private void produce(KafkaProducer<String, String> producer, int count) throws Exception {
        Map<String, Future<RecordMetadata>> sent = new HashMap<>();
        for (int i = 0; i < count; i++) {
            String value = String.format("record %06d", next++);
            sent.put(value, producer.send(new ProducerRecord<>(TOPIC, value, value)));
        }
        for (Map.Entry<String, Future<RecordMetadata>> entry : sent.entrySet()) {
            entry.getValue().get();
            acknowledged.add(entry.getKey());
        }
    }

    /** Everything in the topic from its beginning, by a consumer group of its own. */
    private Set<String> consumeAll() {
        Properties properties = new Properties();
        properties.putAll(common);
        properties.put("group.id", "group-" + next);
        properties.put("auto.offset.reset", "earliest");
        Set<String> values = new TreeSet<>();
        try (KafkaConsumer<String, String> consumer =
                 new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(TOPIC));
            long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
            while (!values.containsAll(acknowledged) && System.nanoTime() < end) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    values.add(record.value());
                }
            }
            consumer.commitSync();
        }
        return values;
    }

    private Set<String> missing() {
        Set<String> missing = new TreeSet<>(acknowledged);
        missing.removeAll(consumeAll());
        return missing;
    }

    private void configuration() throws Exception {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
        Collection<AlterConfigOp> change =
            List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "123456789"), AlterConfigOp.OpType.SET));
        admin.incrementalAlterConfigs(Map.of(topic, change)).all().get();
        Checks.eventually("retention", "123456789",
            () -> admin.describeConfigs(List.of(topic)).all().get().get(topic).get("retention.ms").value());
        admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(4))).all().get();
        Checks.eventually("replicas in sync", 8, () -> replicasInSync(TOPIC));
        produce(50);
    }

    private void security() throws Exception {
        AclBinding binding = new AclBinding(new ResourcePattern(ResourceType.TOPIC, TOPIC, PatternType.LITERAL),
            new AccessControlEntry("User:ann", "*", AclOperation.READ, AclPermissionType.ALLOW));
        admin.createAcls(List.of(binding)).all().get();
        Checks.eventually("ACLs", List.of(binding),
            () -> new ArrayList<>(admin.describeAcls(AclBindingFilter.ANY).values().get()));
        admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion("ann",
            new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "password"))).all().get();
        Checks.eventually("users", Set.of("ann"), () -> admin.describeUserScramCredentials().all().get().keySet());
        ClientQuotaEntity entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.USER, "ann"));
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity,
            List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 1e9))))).all().get();
        Checks.eventually("quota", Map.of(entity, Map.of("producer_byte_rate", 1e9)),
            () -> admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get());
    }

    private void controllerDies() throws Exception {
        int dead = controller();
        brokers.kill(dead);
        Checks.eventually("controller", 1 - dead, this::controller);
        Checks.eventually("brokers", 1, this::brokersSeen);
        produce(50);
        brokers.start(dead);
        Checks.eventually("brokers", Brokers.COUNT, this::brokersSeen);
        Checks.eventually("replicas in sync", 8, () -> replicasInSync(TOPIC));
        Checks.equal("missing records", Set.of(), missing());
    }

    private void zooKeeperDies() throws Exception {
        try (KafkaProducer<String, String> producer = producer()) {
            produce(producer, 50);
            Checks.control("kill9");
            produce(producer, 50);
            Checks.control("start");
            produce(producer, 50);
        }
        // Only a controller with a working session can do this.
        admin.createTopics(List.of(new NewTopic("after-the-kill", 2, (short) 2))).all().get();
        Checks.eventually("replicas in sync", 4, () -> replicasInSync("after-the-kill"));
        Checks.equal("missing records", Set.of(), missing());
    }

    private void zooKeeperAway() throws Exception {
        // The producer is there before: a new one would need a producer id, which the brokers take from ZooKeeper.
        try (KafkaProducer<String, String> producer = producer()) {
            produce(producer, 10);
            Checks.control("stop");
            long end = System.nanoTime() + Duration.ofSeconds(8).toNanos();
            while (System.nanoTime() < end) {
                produce(producer, 10);
                Thread.sleep(100);
            }
            Checks.control("start");
            produce(producer, 10);
        }
        Checks.isTrue("brokers alive", brokers.alive(0) && brokers.alive(1));
        admin.createTopics(List.of(new NewTopic("after-the-gap", 1, (short) 2))).all().get();
        Checks.eventually("replicas in sync", 2, () -> replicasInSync("after-the-gap"));
        produce(20);
    }

    private void controllerStops() throws Exception {
        int stopped = controller();
        brokers.stop(stopped);
        Checks.eventually("controller", 1 - stopped, this::controller);
        produce(50);
        Map<TopicPartition, Integer> leaders = new HashMap<>();
        admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC).partitions()
            .forEach(partition -> leaders.put(new TopicPartition(TOPIC, partition.partition()), partition.leader().id()));
        Checks.equal("leaders", Collections.nCopies(4, 1 - stopped), new ArrayList<>(leaders.values()));
    }
}
