#!/usr/bin/env bash
# The C client, Debian's libzookeeper-mt: synchronous and asynchronous calls, watches, multi, a restart of the server.
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
gcc -std=gnu11 -O1 -Wall -Wextra -o "$work/program" "$clients/c/main.c" -lzookeeper_mt -lpthread || exit 1
timeout -k 5 300 "$work/program" 2>"$work/err"
code=$?
# 0 and 1 come with a count; anything else is a program that died or hung.
[ $code -le 1 ] || { cat "$work/err"; echo "the program ended with $code"; echo "0 passed, 1 failed"; exit 1; }
exit $code
