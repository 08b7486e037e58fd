"""pytest plugin of the kazoo suite: gives each worker ports of its own and prints the results in the suites' form.

Environment: COMPAT_SKIPPED names the list of tests to leave out, `NODE_ID reason` on each line; COMPAT_RESULTS the file
for the results, as JSON from test to line, to which a second run of some tests adds. A skip that the list does not name
counts as a failure: nothing may be left out unseen.

As a program, `compat_plugin.py failed|print RESULTS`: the tests that failed, or the result lines and the count.
"""

import json
import os
import random
import socket
import sys

import pytest

# How many servers kazoo's harness runs together.
MEMBERS = int(os.environ.get("ZOOKEEPER_CLUSTER_SIZE", "1"))

# It takes five ports for each, the first ten behind those of the one before, from its offset on.
PORTS = 5
STRIDE = 10

# How a reason begins that has no meaning where there is an ensemble.
ONE_SERVER = "one server: "


def free_offset():
    """A start of free ports for all members, below the range from which the kernel gives out client ports."""
    while True:
        offset = random.randrange(15000, 31000, 10)
        try:
            for member in range(MEMBERS):
                for port in range(offset + STRIDE * member, offset + STRIDE * member + PORTS):
                    with socket.socket() as probe:
                        probe.bind(("127.0.0.1", port))
            return offset
        except OSError:
            continue


def listed():
    reasons = {}
    with open(os.environ["COMPAT_SKIPPED"], encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                node, _, reason = line.strip().partition(" ")
                if MEMBERS == 1 or not reason.startswith(ONE_SERVER):
                    reasons[node] = reason.strip()
    return reasons


def pytest_configure(config):
    os.environ["ZOOKEEPER_PORT_OFFSET"] = str(free_offset())
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Results(), "compat-results")


def pytest_collection_modifyitems(items):
    reasons = listed()
    for item in items:
        for node, reason in reasons.items():
            if item.nodeid == node or item.nodeid.startswith(node + "::"):
                item.add_marker(pytest.mark.skip(reason="listed: " + reason))


class Results:
    """Lives in the process that hears of every test's end."""

    def __init__(self):
        self.lines = {}

    def failed(self, node):
        return self.lines.get(node, "").startswith("FAIL")

    def pytest_runtest_logreport(self, report):
        node = report.nodeid
        if report.failed:
            self.lines[node] = "FAIL %s (%s)\n%s" % (node, report.when, report.longreprtext)
        elif report.skipped and not self.failed(node):
            reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
            if "listed: " in reason:
                self.lines[node] = "skip %s: %s" % (node, reason.split("listed: ")[1])
            else:
                self.lines[node] = "FAIL %s: skipped, but not listed: %s" % (node, reason)
        elif report.when == "call" and not self.failed(node):
            self.lines[node] = "ok   %s" % node

    def pytest_sessionfinish(self):
        path = os.environ["COMPAT_RESULTS"]
        before = read(path) if os.path.exists(path) else {}
        with open(path, "w", encoding="utf-8") as out:
            json.dump({**before, **self.lines}, out)


def read(path):
    with open(path, encoding="utf-8") as lines:
        return json.load(lines)


def main():
    what, path = sys.argv[1:]
    lines = read(path)
    failed = sorted(node for node, line in lines.items() if line.startswith("FAIL"))
    if what == "failed":
        print("\n".join(failed))
        return 0
    for node in sorted(lines):
        print(lines[node])
    passed = sum(line.startswith("ok ") for line in lines.values())
    print("%d passed, %d failed" % (passed, len(failed)))
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
