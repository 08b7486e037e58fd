"""The targets, and whether they are reached."""

from dataclasses import dataclass
from statistics import median
from typing import Optional


@dataclass
class Criterion:
    """One figure of one row. `at_least` and `at_most` are about ours divided by Java's, `own_at_most` about ours
    alone; without any of them the figure is for information."""

    row: str
    figure: str
    title: str
    at_least: Optional[float] = None
    at_most: Optional[float] = None
    own_at_most: Optional[float] = None

    def target(self):
        if self.at_least is not None:
            return f">= {self.at_least:g}x"
        if self.at_most is not None:
            return f"<= {self.at_most:.3g}x"
        if self.own_at_most is not None:
            return f"<= {readable(self.own_at_most)}"
        return ""

    def reached(self, java, ours):
        if ours is None:
            return None
        if self.own_at_most is not None:
            return ours <= self.own_at_most
        if not self.target() or not java:
            return None
        ratio = ours / java
        return ratio >= self.at_least if self.at_least is not None else ratio <= self.at_most


CRITERIA = [
    Criterion("get-deep", "ops_per_s", "get, 50 connections x 20: ops/s", at_least=10),
    Criterion("get-deep", "cpu_us_per_op", "  server CPU us/op", at_most=1 / 15),
    Criterion("get-wide", "ops_per_s", "get, 50 x 1: ops/s", at_least=2),
    Criterion("get-wide", "cpu_us_per_op", "  server CPU us/op"),
    Criterion("get-one", "p50_us", "get, 1 connection: p50 us", at_most=0.6),
    Criterion("get-one", "cpu_us_per_op", "  server CPU us/op"),
    Criterion("set-deep", "ops_per_s", "set, 50 x 20: ops/s", at_least=6),
    Criterion("set-deep", "cpu_us_per_op", "  server CPU us/op", at_most=1 / 8),
    Criterion("set-deep", "written_bytes_per_op", "  bytes written per op"),
    Criterion("create-delete", "ops_per_s", "create + delete, 50 x 20: ops/s", at_least=6),
    Criterion("create-delete", "cpu_us_per_op", "  server CPU us/op"),
    Criterion("set-one", "p50_us", "set, 1 connection: p50 us", at_most=0.65),
    Criterion("set-one", "cpu_us_per_op", "  server CPU us/op"),
    Criterion("mix", "ops_per_s", "90 % get, 10 % set, 50 x 20: ops/s", at_least=8),
    Criterion("mix", "cpu_us_per_op", "  server CPU us/op"),
    Criterion("fan-out", "last_event_us", "500 watchers of one znode: last event us", at_most=1 / 3),
    Criterion("sessions", "all_connected_ms", "4,000 sessions at once: ms", at_most=1 / 10),
    Criterion("sessions", "refused", "  sessions refused", own_at_most=0),
    Criterion("watch-many", "bytes_per_watch", "1,000,000 watches: server bytes per watch"),
    Criterion("watch-many", "register_s", "  s to register"),
    Criterion("watch-many", "last_event_ms", "  ms to fire all"),
    Criterion("watch-one", "watchers", "many watchers of one znode (100,000, or as the limit of open files permits)"),
    Criterion("watch-one", "bytes_per_watch", "  server bytes per watch"),
    Criterion("watch-one", "last_event_ms", "  ms to fire all"),
    Criterion("fill", "ops_per_s", "fill 1,000,000 znodes: ops/s", at_least=5),
    Criterion("fill", "cpu_us_per_op", "  server CPU us/op"),
    Criterion("fill", "rss_bytes", "  RSS afterwards", own_at_most=230e6),
    Criterion("fill", "disk_bytes", "  disk", at_most=1 / 3),
    Criterion("restart", "start_ms", "restart with 1,000,000 znodes: ms", at_most=1 / 3),
    Criterion("restart", "rss_bytes", "  RSS afterwards"),
    Criterion("start", "start_ms", "start, empty: ms", own_at_most=100),
    Criterion("start", "stop_ms", "  stop: ms"),
    Criterion("image", "p99.9_us_without", "set at 2,000/s: p99.9 us"),
    Criterion("image", "p99.9_us_with", "  while the image is written: p99.9 us"),
    Criterion("image", "p99.9_with_to_without", "  with / without", own_at_most=1.5),
    Criterion("three-get", "ops_per_s", "three members: get, 60 connections x 20: ops/s", at_least=10),
    Criterion("three-get", "cpu_us_per_op", "  CPU us/op of all members"),
    Criterion("three-set", "ops_per_s", "set, 60 x 20: ops/s", at_least=6),
    Criterion("three-set", "cpu_us_per_op", "  CPU us/op of all members", at_most=1 / 8),
    Criterion("three-mix", "ops_per_s", "90 % get, 10 % set, 60 x 20: ops/s", at_least=8),
    Criterion("three-mix", "cpu_us_per_op", "  CPU us/op of all members"),
    Criterion("three-set-one", "p50_us", "set, 1 connection: p50 us", at_most=0.6),
    Criterion("three-set-rate", "p99.9_us", "2,000 set/s: p99.9 us", at_most=1 / 3),
    Criterion("three-kill", "gap_ms", "kill -9 of the leader, no write for: median ms", at_most=1 / 3),
    Criterion("three-kill", "gap_ms", "  the same, ours alone", own_at_most=150),
    Criterion("three-kill", "gap_worst_ms", "  worst", own_at_most=400),
    Criterion("three-term", "gap_ms", "SIGTERM of the leader: median ms"),
    Criterion("three-term", "gap_worst_ms", "  worst", own_at_most=100),
    Criterion("three-wiped", "in_sync_ms", "wiped follower, 1,000,000 znodes: ms until it follows", at_most=1 / 3),
    Criterion("three-wiped", "p99_to_before", "  p99 of writes meanwhile to before", own_at_most=2),
    Criterion("three-beside", "ops_per_s", "two members beside Java's leader: set, 60 x 20: ops/s", at_least=1),
    Criterion("three-beside", "p50_us", "  set, 1 connection: p50 us", at_most=1),
    Criterion("three-beside", "get_ops_per_s", "  get, 60 x 20: ops/s", at_least=1),
]


def evaluate(criteria, measured):
    """Medians over the rounds of both servers, their ratio, and the verdict, per criterion."""
    return [evaluate_one(criterion, measured) for criterion in criteria]


def evaluate_one(criterion, measured):
    def values(server):
        found = [m["values"].get(criterion.figure) for m in measured
                 if m["server"] == server and m["row"] == criterion.row]
        return [value for value in found if value is not None]

    java, ours = (median(v) if v else None for v in (values("java"), values("ours")))
    return {
        "row": criterion.row,
        "figure": criterion.figure,
        "title": criterion.title,
        "java": java,
        "ours": ours,
        "java_rounds": values("java"),
        "ours_rounds": values("ours"),
        "ratio": ours / java if java and ours is not None else None,
        "target": criterion.target(),
        "reached": criterion.reached(java, ours),
    }


def readable(value):
    """Large numbers with their thousands, small ones with three digits."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def print_table(evaluated):
    verdicts = {True: "yes", False: "NO", None: ""}
    head = ["", "Java", "ours", "ratio", "target", "reached"]
    lines = [[e["title"], readable(e["java"]), readable(e["ours"]),
              "-" if e["ratio"] is None else f"{e['ratio']:.3g}x", e["target"], verdicts[e["reached"]]]
             for e in evaluated]
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    for line in [head, *lines]:
        cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        print("  ".join(cells).rstrip())
