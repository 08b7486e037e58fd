#!/usr/bin/env bash
# Kafka in ZooKeeper mode: two brokers keep their cluster in the server under test, which dies and comes back under them.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
classpath=$(java_classes kafka "$clients/shared" "$clients/kafka") || exit 1
export KAFKA_CLASSPATH="$cache/jars/kafka/*"
java "${java_flags[@]}" -cp "$classpath" Main "$work"
