"""pytest plugin of the kazoo suite: gives each worker ports of its own and prints the results in the suites' form.

Environment: COMPAT_SKIPPED names the list of tests to leave out, `NODE_ID reason` on each line; COMPAT_RESULTS the file
for the result lines. A skip that the list does not name counts as a failure: nothing may be left out unseen.
"""

import os
import random
import socket

import pytest

# kazoo's harness takes five ports from its offset on.
PORTS = 5


def free_offset():
    """A start of PORTS free ports, below the range from which the kernel gives out client ports."""
    while True:
        offset = random.randrange(15000, 31000, 10)
        try:
            for port in range(offset, offset + PORTS):
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
        self.failed = set()
        self.passed = set()
        self.skipped = set()

    def pytest_runtest_logreport(self, report):
        node = report.nodeid
        if report.failed:
            self.failed.add(node)
            self.lines[node] = "FAIL %s (%s)\n%s" % (node, report.when, report.longreprtext)
        elif report.skipped and node not in self.failed:
            reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
            if "listed: " in reason:
                self.skipped.add(node)
                self.lines[node] = "skip %s: %s" % (node, reason.split("listed: ")[1])
            else:
                self.failed.add(node)
                self.lines[node] = "FAIL %s: skipped, but not listed: %s" % (node, reason)
        elif report.when == "call" and node not in self.failed:
            self.passed.add(node)
            self.lines[node] = "ok   %s" % node

    def pytest_sessionfinish(self):
        with open(os.environ["COMPAT_RESULTS"], "w", encoding="utf-8") as out:
            for node in sorted(self.lines):
                out.write(self.lines[node] + "\n")
            out.write("%d passed, %d failed\n" % (len(self.passed - self.failed), len(self.failed)))
