#!/usr/bin/env bash
# Apache Curator's recipes, each from two sessions, and over a restart of the server.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
classpath=$(java_classes curator "$clients/shared" "$clients/curator") || exit 1
java "${java_flags[@]}" -cp "$classpath" Main
