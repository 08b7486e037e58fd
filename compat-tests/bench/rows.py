"""The rows: what is done to a server, and which figures come of it.

Rows that can share a server form a stage; those of ensembles are in ensemble_rows.py. A stage yields (row, figures by name); figures end in their unit."""

import resource
import time
from dataclasses import dataclass

from servers import Failure

# Files that a server has open besides its connections, generously: jars, libraries, logs.
OTHER_FILES = 500


@dataclass
class Sizes:
    """How much of everything."""

    seconds: float = 5.0
    warmup_seconds: float = 5.0
    sessions: int = 4000
    fan_out: int = 500
    fan_out_rounds: int = 50
    watches: int = 1_000_000
    watches_on_one: int = 100_000
    fill: int = 1_000_000
    image_fill: int = 300_000
    starts: int = 3
    kills: int = 20
    ensemble_fill: int = 1_000_000

    @staticmethod
    def quick():
        return Sizes(0.5, 0.5, 200, 50, 5, 10_000, 500, 10_000, 5_000, 1, 1, 5_000)


@dataclass
class Stage:
    """Rows that share one server or ensemble; `run(runner, sizes, rows)` yields those that are asked for."""

    name: str
    rows: list
    run: callable
    # The servers, from the kind that is measured and Apache ZooKeeper.
    kinds: callable = lambda kind, _java: [kind]


def figures(report):
    """What every report has."""
    latency = report["latency_us"] or {}
    server = report["server"] or {}
    return {
        "ops_per_s": report["ops_per_s"],
        "p50_us": latency.get("p50"),
        "p99_us": latency.get("p99"),
        "p99.9_us": latency.get("p99.9"),
        "cpu_us_per_op": server.get("cpu_us_per_op"),
        "client_cpu_us_per_op": report["client_cpu_us_per_op"],
        "client_cpu_share": report["client_cpu_share"],
        "written_bytes_per_op": server["written"] / max(report["ops"], 1) if server else None,
    }


# Steady load: row -> arguments of the load generator. The numbers are those of the README's table.
LOADS = {
    "get-deep": ["get", "-c", 50, "-d", 20],
    "get-wide": ["get", "-c", 50, "-d", 1],
    "get-one": ["get", "-c", 1, "-d", 1],
    "set-deep": ["set", "-c", 50, "-d", 20],
    "create-delete": ["create-delete", "-c", 50, "-d", 20],
    "set-one": ["set", "-c", 1, "-d", 1],
    "mix": ["mix", "--gets", 90, "-c", 50, "-d", 20],
}


def run_load(runner, sizes, rows):
    runner.start()
    seconds = f"{sizes.seconds}s"
    for command in ("get", "set", "create-delete", "mix"):
        runner.bench(command, "-t", f"{sizes.warmup_seconds}s", "--warmup", 0)
    for row in [row for row in LOADS if row in rows]:
        yield row, figures(runner.bench(*LOADS[row], "-t", seconds, "--warmup", f"{min(1, sizes.seconds)}s"))
    if "fan-out" in rows:
        runner.bench("watch", "-w", sizes.fan_out, "-n", 5)
        report = runner.bench("watch", "-w", sizes.fan_out, "-n", sizes.fan_out_rounds)
        yield "fan-out", {"last_event_us": report["figures"]["last_event_p50_us"]}
    if "sessions" in rows:
        report = runner.bench("sessions", "-n", sizes.sessions)
        yield "sessions", {"all_connected_ms": report["figures"]["all_connected_ms"],
                           "refused": report["figures"]["refused"]}
    runner.stop()


def run_watches(runner, sizes, rows):
    runner.start()
    # One small run first: what the server allocates once is not what a watch costs.
    runner.bench("watch", "-w", 50, "-p", 100, "-n", 2)
    if "watch-many" in rows:
        report = runner.bench("watch", "-w", 100, "-p", sizes.watches // 100, "-n", 1)
        yield "watch-many", watch_figures(report)
    if "watch-one" in rows:
        # Every watcher is a connection, and a process may not have more files than the system permits.
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        watchers = min(sizes.watches_on_one, files - OTHER_FILES)
        report = runner.bench("watch", "-w", watchers, "-n", 1, "--session-timeout", "40s")
        yield "watch-one", watch_figures(report) | {"watchers": watchers}
    runner.stop()


def watch_figures(report):
    own = report["figures"]
    return {"register_s": own["register_s"], "bytes_per_watch": own["server_bytes_per_watch"],
            "last_event_ms": own["last_event_p50_us"] / 1e3}


def run_fill(runner, sizes, rows):
    runner.start()
    fill = ["-n", sizes.fill]
    report = runner.bench("fill", *fill)
    runner.settle(30)
    yield "fill", figures(report) | {"rss_bytes": runner.rss_bytes(), "disk_bytes": runner.disk_bytes()}
    if "restart" in rows:
        runner.stop()
        last = f"/rookeeper-bench/d{(sizes.fill - 1) // 1000:08}/n{sizes.fill - 1:08}"
        report = runner.bench("start", "--get", last, tail=["--", *runner.configure()])
        yield "restart", {"start_ms": report["figures"]["start_p50_ms"], "stop_ms": report["figures"]["stop_p50_ms"],
                          "rss_bytes": report["figures"]["server_rss_bytes"]}
        runner.start()
        runner.bench("check", *fill)
        runner.kill()


def run_start(runner, sizes, _rows):
    starts, stops = [], []
    for _ in range(sizes.starts):
        runner.clear()
        runner.__post_init__()
        report = runner.bench("start", tail=["--", *runner.configure()])["figures"]
        starts.append(report["start_p50_ms"])
        stops.append(report["stop_p50_ms"])
    yield "start", {"start_ms": sorted(starts)[len(starts) // 2], "stop_ms": sorted(stops)[len(stops) // 2]}


# A snapCount that no run reaches, and one that is reached about once a second at 2,000 sets per second, so that the
# image is being written all the time.
NO_IMAGE, ALWAYS_IMAGE = 1_000_000_000, 2_000


def run_image(runner, sizes, _rows):
    """p99.9 of 2,000 sets per second, first while no image is written, then while one always is, on the same data."""
    values = {}
    runner.start(NO_IMAGE)
    runner.bench("fill", "-n", sizes.image_fill)
    for name, snap_count in (("without", NO_IMAGE), ("with", ALWAYS_IMAGE)):
        if name == "with":
            runner.stop()
            runner.start(snap_count)
            runner.bench("check", "-n", sizes.image_fill)
        runner.settle(30)
        before, newest = runner.written_bytes(), time.time()
        load = ["-c", 10, "--rate", 2000, "--root", "/rookeeper-image", "--keys", 1000]
        report = runner.bench("set", *load, "-t", f"{2 * sizes.seconds}s", "--warmup", f"{min(2, sizes.seconds)}s")
        latency = report["latency_us"]
        values |= {f"p50_us_{name}": latency["p50"], f"p99_us_{name}": latency["p99"],
                   f"p99.9_us_{name}": latency["p99.9"], f"written_bytes_{name}": runner.written_bytes() - before,
                   f"files_changed_{name}": changed_files(runner, newest)}
    runner.stop()
    if values["written_bytes_with"] == 0:
        raise Failure("nothing was written while the image should have been")
    values["p99.9_with_to_without"] = values["p99.9_us_with"] / values["p99.9_us_without"]
    yield "image", values


def changed_files(runner, since):
    """Number of files written since then: tells whether there was an image among them."""
    return sum(1 for file in runner.files() if file.stat().st_mtime >= since)


STAGES = [
    Stage("load", [*LOADS, "fan-out", "sessions"], run_load),
    Stage("watches", ["watch-many", "watch-one"], run_watches),
    Stage("fill", ["fill", "restart"], run_fill),
    Stage("start", ["start"], run_start),
    Stage("image", ["image"], run_image),
]
