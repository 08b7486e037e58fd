"""The rows of ensembles: three members on this machine, their CPU time summed."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from rows import Stage, figures
from servers import Failure

# Connections and requests under way on each, spread over the members.
CONNECTIONS, DEPTH = 60, 20

LOADS = {
    "three-get": ["get", "-c", CONNECTIONS, "-d", DEPTH],
    "three-set": ["set", "-c", CONNECTIONS, "-d", DEPTH],
    "three-mix": ["mix", "--gets", 90, "-c", CONNECTIONS, "-d", DEPTH],
    "three-set-one": ["set", "-c", 1, "-d", 1],
    "three-set-rate": ["set", "-c", CONNECTIONS, "--rate", 2000],
}

# Writes stand still for a part of this, however slow an election is: it is measured from one second on.
GAP_SECONDS, GAP_BEGINS_SECONDS = 6, 1

# Load while a wiped follower comes back: such that neither kind of leader is busy with it.
WIPED_RATE = 500

# Seconds of such load before, each with a p99 of its own.
WINDOWS_BEFORE = 5

# A follower with a tree of its own size is in sync again within this.
IN_SYNC_SECONDS = 120


def three(kind, _java):
    return [kind] * 3


def two_beside_java(kind, java):
    """The member with the highest number leads while all have the same history."""
    return [kind, kind, java]


def warm_up(runner, sizes, only=None):
    for command in ("get", "set", "mix"):
        runner.bench(command, "-c", CONNECTIONS, "-t", f"{sizes.warmup_seconds}s", "--warmup", 0, only=only)


def measured(sizes):
    return ["-t", f"{sizes.seconds}s", "--warmup", f"{min(1, sizes.seconds)}s"]


def run_load(runner, sizes, rows):
    runner.start()
    warm_up(runner, sizes)
    for row in [row for row in LOADS if row in rows]:
        yield row, figures(runner.bench(*LOADS[row], *measured(sizes)))
    runner.stop()


def run_gaps(runner, sizes, rows):
    """How long no write is acknowledged when the leader goes, with the default ticks."""
    runner.start()
    for row, end in (("three-kill", "kill"), ("three-term", "stop")):
        if row not in rows:
            continue
        gaps = []
        for _ in range(sizes.kills):
            leader = runner.leader()
            gap = runner.begin_bench("gap", "-q", "-t", f"{GAP_SECONDS}s", observe=False)
            time.sleep(GAP_BEGINS_SECONDS)
            getattr(runner.servers[leader - 1], end)()
            gaps.append(gap()["figures"]["longest_gap_ms"])
            runner.servers[leader - 1].start(runner.lines)
        yield row, {"gap_ms": median(gaps), "gap_worst_ms": max(gaps)}
    runner.leader()
    runner.stop()


def run_wiped(runner, sizes, _rows):
    """A follower without data joins a large tree while others write. Of both times, before and meanwhile, the p99 of the
    worst second counts."""
    runner.start()
    runner.bench("fill", "-n", sizes.ensemble_fill)
    runner.settle(30)
    leader = runner.leader()
    follower = next(number for number in (1, 2, 3) if number != leader)
    others = [number for number in (1, 2, 3) if number != follower]

    def p99():
        load = ["set", "-c", 10, "--rate", WIPED_RATE, "--root", "/rookeeper-wiped", "-t", "1s", "--warmup", 0]
        return runner.begin_bench(*load, only=others, observe=False)()["latency_us"]["p99"]

    p99()
    before = max(p99() for _ in range(WINDOWS_BEFORE))
    server = runner.servers[follower - 1]
    server.stop()
    shutil.rmtree(server.data)
    # The wiping is no part of it.
    os.sync()
    runner.write_id(follower)
    begin = time.monotonic()
    server.start(runner.lines)
    with ThreadPoolExecutor(1) as pool:
        joins = pool.submit(await_follower, server, begin)
        meanwhile = [p99()]
        while not joins.done():
            meanwhile.append(p99())
    runner.bench("check", "-n", sizes.ensemble_fill, only=[follower])
    yield "three-wiped", {"in_sync_ms": joins.result() * 1e3, "p99_us_before": before,
                          "p99_us_meanwhile": max(meanwhile), "p99_to_before": max(meanwhile) / before}
    runner.stop()


def await_follower(server, begin):
    """Seconds from `begin` until the server follows."""
    while server.mode() != "follower":
        if time.monotonic() - begin > IN_SYNC_SECONDS:
            raise Failure(f"not in sync within {IN_SYNC_SECONDS} s{server.end_of_log()}")
        time.sleep(0.01)
    return time.monotonic() - begin


def run_beside(runner, sizes, _rows):
    """Clients of two members whose leader is Apache ZooKeeper's."""
    # Two members are a quorum, whichever they are: the third comes when the one that is to lead does.
    for server in reversed(runner.servers):
        server.start(runner.lines)
        if server is not runner.servers[-1]:
            runner.leader()
    if runner.leader() != 3:
        raise Failure("the member with the highest number does not lead")
    warm_up(runner, sizes, only=[1, 2])
    values = {}
    for row, figure, name in (("three-set", "ops_per_s", "ops_per_s"), ("three-get", "ops_per_s", "get_ops_per_s"),
                              ("three-set-one", "p50_us", "p50_us")):
        values[name] = figures(runner.bench(*LOADS[row], *measured(sizes), only=[1, 2]))[figure]
    yield "three-beside", values
    runner.stop()


ENSEMBLE_STAGES = [
    Stage("three-load", list(LOADS), run_load, three),
    Stage("three-gaps", ["three-kill", "three-term"], run_gaps, three),
    Stage("three-wiped", ["three-wiped"], run_wiped, three),
    Stage("three-beside", ["three-beside"], run_beside, two_beside_java),
]
