#!/usr/bin/env python3
"""Measures Apache ZooKeeper and Rookeeper in turn on this machine and prints the ratios.

    compare.py                      all rows, three alternating rounds (about half an hour)
    compare.py --quick              the same rows at toy size, one round (about a minute): proves that all of it runs
    compare.py --rows get-deep,fill only these rows
    compare.py --members one        only single servers; `three`: only ensembles
    compare.py --servers java       only one of the two, for a baseline

Both servers, or ensembles of three, get the same zoo.cfg, folders on the same disk, quiet logs, and the same warm-up. The load generator is
`rookeeper bench`; it checks every reply, and a row with one wrong reply is a failure of the whole comparison.
Apache ZooKeeper comes from ../provision (see provision.sh); only Python's standard library is needed.

Exit code: 0 when every row was measured; 1 when a row failed; 3 with --enforce when a target was missed.
"""

import argparse
import json
import os
import platform
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from criteria import CRITERIA, evaluate, print_table
from ensemble_rows import ENSEMBLE_STAGES
from rows import STAGES as SINGLE_STAGES
from rows import Sizes
from servers import Failure, Kind, Runner

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

STAGES = [*SINGLE_STAGES, *ENSEMBLE_STAGES]

# Files a process may have open: enough for the 100,000 connections of one row, where the system permits it.
OPEN_FILES = 250_000


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], epilog="Rows: " + ", ".join(row for stage in STAGES for row in stage.rows)
    )
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    parser.add_argument("--ours", default=f"{target}/release/rookeeper server", metavar="COMMAND",
                        help="runs our server; a zoo.cfg is appended (default: %(default)s)")
    parser.add_argument("--java", default=str(HERE.parent / "provision/zookeeper-server.sh"), metavar="COMMAND",
                        help="runs Apache ZooKeeper; a zoo.cfg is appended (default: %(default)s)")
    parser.add_argument("--bench", default=f"{target}/release/rookeeper bench", metavar="COMMAND",
                        help="the load generator (default: %(default)s)")
    parser.add_argument("--servers", default="java,ours", help="which to measure (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="alternating rounds; medians are taken (default: 3, --quick 1)")
    parser.add_argument("--rows", help="only these rows, by comma (default: all)")
    parser.add_argument("--members", choices=["one", "three"], help="only single servers, or only ensembles")
    parser.add_argument("--quick", action="store_true", help="toy sizes: the figures mean nothing")
    parser.add_argument("--seconds", type=float, help="measuring time of a row (default: 5, --quick 0.5)")
    parser.add_argument("--heap", type=int, default=2048, metavar="MB", help="Java's heap (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where data go (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes all figures there")
    parser.add_argument("--enforce", action="store_true", help="exit code 3 when a target is missed")
    args = parser.parse_args()
    args.servers = args.servers.split(",")
    unknown = set(args.servers) - {"java", "ours"}
    if unknown:
        parser.error(f"--servers: unknown {', '.join(sorted(unknown))}; allowed are java, ours")
    stages = {"one": SINGLE_STAGES, "three": ENSEMBLE_STAGES, None: STAGES}[args.members]
    known = [row for stage in stages for row in stage.rows]
    args.rows = args.rows.split(",") if args.rows else known
    unknown = set(args.rows) - set(known)
    if unknown:
        parser.error(f"--rows: unknown {', '.join(sorted(unknown))}; allowed are {', '.join(known)}")
    args.rounds = args.rounds if args.rounds is not None else (1 if args.quick else 3)
    if not 1 <= args.rounds <= 100:
        parser.error(f"--rounds {args.rounds}: allowed are 1 to 100")
    if args.seconds is not None and not 0.1 <= args.seconds <= 3600:
        parser.error(f"--seconds {args.seconds}: allowed are 0.1 to 3600")
    for name, command in [("--bench", args.bench)] + [("--" + kind, getattr(args, kind)) for kind in args.servers]:
        program = shlex.split(command)[0]
        if not shutil.which(program):
            parser.error(f"{name}: {program} is not a program; build it (cargo build --release), or name another")
    if args.enforce and args.quick:
        parser.error("--enforce: the figures of --quick mean nothing")
    return args


def file_system(folder):
    """Type of the file system that a folder is on: the longest mount point that is above it wins."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(mount, kind) for mount, kind in mounts if folder.is_relative_to(mount)]
    return max(above, key=lambda entry: len(entry[0]))[1]


def machine():
    model = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    return {"cores": os.cpu_count(), "cpu": model[0] if model else "unknown", "kernel": platform.release(),
            "load_before": os.getloadavg()}


def allow_files():
    """As many as the system permits; the row that needs them says so when they are too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in [(max(soft, OPEN_FILES), max(hard, OPEN_FILES)), (hard, hard)]:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            return
        except (ValueError, OSError):
            continue


def main():
    args = arguments()
    # The servers are ended by `finally`: a signal has to come out as an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    allow_files()
    kind = file_system(args.dir.resolve())
    if kind in ("tmpfs", "ramfs"):
        sys.exit(f"compare: --dir {args.dir} is a {kind}, where a flush costs nothing; name a folder on a disk")
    sizes = Sizes.quick() if args.quick else Sizes()
    if args.seconds is not None:
        sizes.seconds = args.seconds
    kinds = {
        "java": Kind("java", shlex.split(args.java), {"ZK_SERVER_HEAP": str(args.heap), "ZK_LOG_LEVEL": "ERROR"}),
        "ours": Kind("ours", shlex.split(args.ours), {"ROOKEEPER_LOG": "warn"}),
    }
    result = {"machine": machine() | {"file_system": kind}, "quick": args.quick, "sizes": vars(sizes), "measured": []}
    failures = []
    folder = Path(tempfile.mkdtemp(prefix="rookeeper-compare.", dir=args.dir))
    try:
        for number in range(1, args.rounds + 1):
            for stage in STAGES:
                rows = [row for row in stage.rows if row in args.rows]
                if not rows:
                    continue
                for name in args.servers:
                    runner = Runner(stage.kinds(kinds[name], kinds["java"]), folder, shlex.split(args.bench))
                    print(f"round {number}, {name}: {', '.join(rows)}", file=sys.stderr, flush=True)
                    begin = time.monotonic()
                    try:
                        for row, values in stage.run(runner, sizes, rows):
                            result["measured"].append({"round": number, "server": name, "row": row, "values": values})
                    except Failure as failure:
                        failures.append(f"round {number}, {name}, {stage.name}: {failure}")
                        print(f"FAILED {failures[-1]}", file=sys.stderr, flush=True)
                    finally:
                        runner.clear()
                    print(f"  {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        result["machine"]["load_after"] = os.getloadavg()
        result["criteria"] = evaluate([c for c in CRITERIA if c.row in args.rows], result["measured"])
        result["failures"] = failures
        if args.json:
            args.json.write_text(json.dumps(result, indent=2) + "\n")
    print_table(result["criteria"])
    if args.quick:
        print("(--quick: toy sizes, the figures mean nothing)")
    for failure in failures:
        print(f"FAILED {failure}")
    if failures:
        sys.exit(1)
    missed = [c for c in result["criteria"] if c["target"] and c["reached"] is not True]
    if args.enforce and missed:
        sys.exit(3)


if __name__ == "__main__":
    main()
