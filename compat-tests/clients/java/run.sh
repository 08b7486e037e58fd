#!/usr/bin/env bash
# The official Java client: every operation, watches, sessions, restarts of the server.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
classpath=$(java_classes zookeeper "$clients/shared" "$clients/java") || exit 1
java "${java_flags[@]}" -cp "$classpath" Main
