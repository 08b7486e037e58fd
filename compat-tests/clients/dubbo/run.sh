#!/usr/bin/env bash
# Dubbo 3 with the server under test as registry, config center and metadata report.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
classpath=$(java_classes dubbo "$clients/shared" "$clients/dubbo") || exit 1
# Dubbo keeps caches in the home directory: one of its own, gone at the end.
java "${java_flags[@]}" "-Duser.home=$work" -Ddubbo.application.logger=slf4j --add-opens java.base/java.lang=ALL-UNNAMED \
    -cp "$classpath" Main "$work"
