"""Starting, asking and stopping one server, or all members of one ensemble, at a time."""

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

# How long members may take until one leads and the others follow.
QUORUM_SECONDS = 120

# How often members are asked for their state.
POLL_SECONDS = 0.01


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
class Server:
    """One process in a folder of its own."""

    kind: Kind
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen = None

    @property
    def data(self):
        return self.folder / "data"

    @property
    def log(self):
        return self.folder / "log"

    def configure(self, lines=()):
        """Writes zoo.cfg and returns the command that runs a server with it."""
        own = [
            "tickTime=2000", f"dataDir={self.data}", f"clientPort={self.port}", "clientPortAddress=127.0.0.1",
            "maxClientCnxns=0", "admin.enableServer=false", "4lw.commands.whitelist=*",
        ]
        self.data.mkdir(parents=True, exist_ok=True)
        config = self.folder / "zoo.cfg"
        config.write_text("\n".join([*own, *lines]) + "\n")
        return [*self.kind.command, str(config)]

    def start(self, lines=()):
        """Runs the server, and waits for nothing."""
        command = self.configure(lines)
        # A group for signals, but no session of its own: Linux shares the processor out among sessions first (autogroup), so
        # that the background of one member would go before what clients of another wait for, whatever its priority. The load
        # generator has a session of its own, as it would have a machine: among all, a server with many threads takes its share.
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0,
                env=os.environ | self.kind.environment,
            )

    def stop(self):
        """Ends the server in order."""
        self.process.send_signal(signal.SIGTERM)
        self.await_end()

    def await_end(self):
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

    def mode(self):
        """leader, follower, standalone; None from a server that serves nobody."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"srvr")
                reply = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
        except OSError:
            return None
        return next((line.split(": ")[1] for line in reply.splitlines() if line.startswith("Mode: ")), None)

    def of_process(self, file, key):
        """A number that the kernel tells of the process."""
        for line in Path(f"/proc/{self.process.pid}/{file}").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        raise Failure(f"the kernel does not tell {key} of the server")

    def end_of_log(self):
        if not self.log.exists():
            return ""
        lines = self.log.read_text(errors="replace").splitlines()[-10:]
        return "\nthe server's log ends with:\n  " + "\n  ".join(lines) if lines else ""


@dataclass
class Runner:
    """The servers of one row: one, or the members of an ensemble, numbered from 1 in this order."""

    kinds: list
    parent: Path
    bench_command: list
    folder: Path = field(init=False)
    servers: list = field(init=False)
    lines: list = field(init=False, default_factory=list)

    def __post_init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=self.kinds[0].name + ".", dir=self.parent))
        self.servers = [Server(kind, self.folder / f"server{i}") for i, kind in enumerate(self.kinds, 1)]
        if len(self.servers) > 1:
            # Enough ticks for a tree of a million znodes.
            self.lines = ["initLimit=30", "syncLimit=10"]
            self.lines += [f"server.{i}=127.0.0.1:{free_port()}:{free_port()}" for i, _ in enumerate(self.servers, 1)]
            for i, _ in enumerate(self.servers, 1):
                self.write_id(i)

    def write_id(self, number):
        data = self.servers[number - 1].data
        data.mkdir(parents=True, exist_ok=True)
        (data / "myid").write_text(f"{number}\n")

    def configure(self):
        """Writes the zoo.cfg of the only server and returns the command that runs it."""
        return self.servers[0].configure()

    def start(self, snap_count=None):
        """Runs all servers; of a server that stands alone the load generator waits until it answers."""
        for server in self.servers:
            server.start(self.lines + ([f"snapCount={snap_count}"] if snap_count else []))
        if len(self.servers) > 1:
            self.leader()

    def leader(self):
        """Waits until one of the running members leads and the others follow; returns its number."""
        end = time.monotonic() + QUORUM_SECONDS
        while time.monotonic() < end:
            modes = [server.mode() if server.process else "down" for server in self.servers]
            if modes.count("leader") == 1 and all(mode in ("leader", "follower", "down") for mode in modes):
                return modes.index("leader") + 1
            time.sleep(POLL_SECONDS)
        raise Failure(f"no quorum within {QUORUM_SECONDS} s: {modes}" + self.end_of_log())

    def stop(self):
        """Ends all servers in order."""
        for server in self.servers:
            server.process.send_signal(signal.SIGTERM)
        for server in self.servers:
            server.await_end()

    def kill(self):
        for server in self.servers:
            server.kill()

    def clear(self):
        """Ends the servers if they run, and removes their data."""
        self.kill()
        subprocess.run(["rm", "-rf", str(self.folder)], check=True)

    def bench(self, *arguments, tail=(), only=None):
        """Runs the load generator against the servers, or only those of these numbers, and returns its report."""
        return self.begin_bench(*arguments, tail=tail, only=only)()

    def begin_bench(self, *arguments, tail=(), only=None, observe=True):
        """As `bench`, but returns at once; the report comes from calling what it returns. Without `observe` it tells
        nothing of the servers' processes, which may end meanwhile."""
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        asked = [server for i, server in enumerate(self.servers, 1) if only is None or i in only]
        command = [*self.bench_command, *map(str, arguments), "--json", str(report),
                   "--servers", ",".join(f"127.0.0.1:{server.port}" for server in asked)]
        running = [str(server.process.pid) for server in self.servers if server.process]
        if running:
            command += ["--wait", "60s"]
            if observe:
                command += ["--server-pid", ",".join(running)]
        process = subprocess.Popen([*command, *tail], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=os.environ | self.kinds[0].environment, start_new_session=True)

        def result():
            try:
                out, errors = process.communicate(timeout=BENCH_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Failure(f"{arguments[0]} takes more than {BENCH_SECONDS} s") from None
            if process.returncode != 0:
                said = (out + errors).strip()
                raise Failure(f"{' '.join(map(str, arguments))}: {said}{self.end_of_log()}")
            return json.loads(report.read_text())

        return result

    def files(self):
        return [file for server in self.servers for file in server.data.rglob("*") if file.is_file()]

    def disk_bytes(self):
        """Space that the data take on the disk; preallocated space counts."""
        return sum(file.stat().st_blocks * 512 for file in self.files())

    def rss_bytes(self):
        return sum(server.of_process("status", "VmRSS") * 1024 for server in self.servers)

    def written_bytes(self):
        """Bytes that the servers have sent to the disk since they began."""
        return sum(server.of_process("io", "write_bytes") for server in self.servers)

    def settle(self, seconds_max):
        """Waits until the servers have not written for a second, at most so long, and then until the disk has all of it: what
        others have left in the kernel's memory would come in the middle of what is measured next."""
        end, before = time.monotonic() + seconds_max, -1
        while time.monotonic() < end and (now := self.written_bytes()) != before:
            before = now
            time.sleep(1)
        os.sync()

    def end_of_log(self):
        return "".join(server.end_of_log() for server in self.servers)
