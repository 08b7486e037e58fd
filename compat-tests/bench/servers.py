"""Starting, asking and stopping one server at a time."""

import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

# A server that does not end within this many seconds of SIGTERM is killed, and the row fails.
STOP_SECONDS = 60

# No run of the load generator takes longer than this; its own bounds are shorter.
BENCH_SECONDS = 3600


class Failure(Exception):
    """A row could not be measured, or its replies were wrong."""


@dataclass
class Kind:
    """A kind of server: how it is called, run, and kept quiet."""

    name: str
    command: list
    environment: dict


def free_port():
    """A port below those that the kernel gives to passing connections."""
    while True:
        port = random.randint(15_000, 31_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


@dataclass
class Runner:
    """One kind of server in a folder of its own."""

    kind: Kind
    parent: Path
    bench_command: list
    folder: Path = field(init=False)
    port: int = field(init=False)
    process: subprocess.Popen = field(init=False, default=None)

    def __post_init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=self.kind.name + ".", dir=self.parent))
        self.port = free_port()

    @property
    def data(self):
        return self.folder / "data"

    @property
    def log(self):
        return self.folder / "log"

    def configure(self, snap_count=None):
        """Writes zoo.cfg and returns the command that runs a server with it."""
        lines = [
            "tickTime=2000", f"dataDir={self.data}", f"clientPort={self.port}", "clientPortAddress=127.0.0.1",
            "maxClientCnxns=0", "admin.enableServer=false", "4lw.commands.whitelist=*",
        ]
        if snap_count:
            lines.append(f"snapCount={snap_count}")
        self.data.mkdir(exist_ok=True)
        config = self.folder / "zoo.cfg"
        config.write_text("\n".join(lines) + "\n")
        return [*self.kind.command, str(config)]

    def start(self, snap_count=None):
        """Runs the server; the load generator waits until it answers."""
        command = self.configure(snap_count)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=os.environ | self.kind.environment,
            )

    def stop(self):
        """Ends the server in order."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"still there {STOP_SECONDS} s after SIGTERM{self.end_of_log()}") from None
        self.process = None

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def clear(self):
        """Ends the server if it runs, and removes its data."""
        self.kill()
        subprocess.run(["rm", "-rf", str(self.folder)], check=True)

    def bench(self, *arguments, tail=()):
        """Runs the load generator against the server and returns its report."""
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        command = [*self.bench_command, *map(str, arguments), "--json", str(report),
                   "--servers", f"127.0.0.1:{self.port}"]
        if self.process:
            command += ["--wait", "60s", "--server-pid", str(self.process.pid)]
        done = subprocess.run([*command, *tail], capture_output=True, text=True, timeout=BENCH_SECONDS,
                              env=os.environ | self.kind.environment)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()
            raise Failure(f"{' '.join(map(str, arguments))}: {said}{self.end_of_log()}")
        return json.loads(report.read_text())

    def disk_bytes(self):
        """Space that the data take on the disk; preallocated space counts."""
        return sum(file.stat().st_blocks * 512 for file in self.data.rglob("*") if file.is_file())

    def rss_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise Failure("the server has no memory")

    def written_bytes(self):
        """Bytes that the server has sent to the disk since it began."""
        for line in Path(f"/proc/{self.process.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
        raise Failure("the kernel does not tell what the server writes")

    def settle(self, seconds_max):
        """Waits until the server has not written for a second, at most so long."""
        end, before = time.monotonic() + seconds_max, -1
        while time.monotonic() < end and (now := self.written_bytes()) != before:
            before = now
            time.sleep(1)

    def end_of_log(self):
        if not self.log.exists():
            return ""
        lines = self.log.read_text(errors="replace").splitlines()[-10:]
        return "\nthe server's log ends with:\n  " + "\n  ".join(lines) if lines else ""
