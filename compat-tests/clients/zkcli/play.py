"""Plays commands.txt through zkCli sessions against one server and writes the normalised transcript.

usage: play.py ZKCLI HOST:PORT COMMANDS TRANSCRIPT

The transcript has one block for each command: a line `## NUMBER SESSION> COMMAND`, then what was printed. Kept are zxids,
versions, sizes and the order of lines; masked are only times, session ids and what names this run (host and port).
Events come from another thread of zkCli and may be printed anywhere among a command's lines; the `events` directive
puts them in a place of their own.

Lines of commands.txt:
  # text              a remark
  SESSION> COMMAND    a command for that zkCli process (started when first named); its end is awaited
  events SESSION N    waits until N watch events have been printed there since the last such line, and takes them
  until SESSION> COMMAND => TEXT   repeats the command until its output contains TEXT; only the last output is kept
  exit SESSION        ends that process with `quit`; its session is closed
  oneshot COMMAND     zkCli with the command as arguments: its output and its exit code
In a command, $ZK_CONNECT stands for the server's host and port.
"""

import queue
import re
import shlex
import subprocess
import sys
import threading
import time

# How long one command or one repeated condition may take, and how long an event may be on its way, in seconds.
DEADLINE = 30.0
EVENT_DEADLINE = 10.0
# Some errors end zkCli without closing its session. It must not expire while the transcript is made: that would take a
# zxid at a moment that differs from run to run.
SESSION_TIMEOUT_MS = "600000"
# Printed by a command that asks the server nothing and works in every state of the session.
MARK_COMMAND = "printwatches"
# Some commands end their output without a line's end.
MARK = re.compile(r"^(.*)printwatches is (on|off)$")
NOT_CONNECTED = "Not connected"
EVENT = re.compile(r"^WatchedEvent state:")

BANNER = re.compile(r"^(Welcome to ZooKeeper!|JLine support is disabled|Connecting to .*|WATCHER::|)$")

MASKS = [
    (re.compile(r"^([cm]time = ).*"), r"\1<time>"),
    (re.compile(r"^(ephemeralOwner = )0x1[0-9a-f]{14,15}$"), r"\1<session>"),
    (re.compile(r"Session 0x[0-9a-f]+"), "Session <id>"),
    (re.compile(r"127\.0\.0\.1:\d+(:\d+)?"), "<server>"),
    (re.compile(r"^\tat .*"), None),
]


def normalise(line):
    """The line with what differs from run to run masked, or None when it is to be left out."""
    if BANNER.match(line):
        return None
    for pattern, replacement in MASKS:
        if replacement is None:
            if pattern.search(line):
                return None
        else:
            line = pattern.sub(replacement, line)
    return line


def sort_sets(lines):
    """What a server answers in the order of a hash table, sorted: getEphemerals (a printed list), whoami (a line each)."""
    lines = [
        "[" + ", ".join(sorted(line[1:-1].split(", "))) + "]" if line.startswith("[/") and line.endswith("]") else line
        for line in lines
    ]
    if lines[:1] == ["Auth scheme: User"]:
        return lines[:1] + sorted(lines[1:])
    return lines


class Session:
    """One interactive zkCli process."""

    def __init__(self, zkcli, server):
        self.server = server
        self.lines = queue.Queue()
        self.events = []
        self.watches = "on"
        self.ended = False
        self.last = "the connection"
        self.process = subprocess.Popen(
            [zkcli, "-timeout", SESSION_TIMEOUT_MS, "-waitforconnection", "-server", server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            bufsize=1,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.collect_until_mark()  # the banner, and the connection
        self.take_connected()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def take_connected(self):
        """Drops the event of the connection itself, which the process prints at its start."""
        self.wait_events(1)
        self.events.clear()

    def collect_until_mark(self):
        """Everything printed until the mark, events set aside."""
        self.send(MARK_COMMAND)
        out, end = [], time.monotonic() + DEADLINE
        while True:
            line = self.next_line(end)
            if line is None:
                self.ended = True
                out.append("<zkCli has ended>")
                return out
            mark = MARK.match(line)
            if mark:
                self.keep(mark.group(1), out)
                if mark.group(2) != self.watches:
                    self.watches = mark.group(2)
                    out.append("<watches printed: %s>" % self.watches)
                return out
            self.keep(line, out)

    def keep(self, line, out):
        if EVENT.match(line):
            self.events.append(normalise(line))
            return
        line = normalise(line)
        # Without a session the mark, too, says so: once is enough, wherever the session has ended.
        if line is not None and not (line == NOT_CONNECTED and line in out):
            out.append(line)

    def next_line(self, end):
        try:
            return self.lines.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            raise SystemExit("no answer of zkCli within %d s to: %s" % (DEADLINE, self.last))

    def send(self, text):
        self.last = text if text != MARK_COMMAND else self.last
        try:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the reader sees the end of the output and says so

    def run(self, command):
        self.send(command.replace("$ZK_CONNECT", self.server))
        return sort_sets(self.collect_until_mark())

    def wait_events(self, count):
        """The events printed since the last call, at least `count` of them."""
        end = time.monotonic() + EVENT_DEADLINE
        stray = []
        while len(self.events) < count:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                stray.append("<only %d of %d events came>" % (len(self.events), count))
                break
            if line is None:
                self.ended = True
                stray.append("<zkCli has ended>")
                break
            self.keep(line, stray)
        events, self.events = self.events, []
        return events + [line for line in stray if line != NOT_CONNECTED]

    def quit(self):
        self.send("quit")
        self.process.stdin.close()
        return self.process.wait(timeout=DEADLINE)


class Player:
    def __init__(self, zkcli, server, transcript):
        self.zkcli, self.server, self.transcript = zkcli, server, transcript
        self.sessions = {}
        self.number = 0

    def session(self, name):
        if name not in self.sessions or self.sessions[name].ended:
            self.sessions[name] = Session(self.zkcli, self.server)
        return self.sessions[name]

    def write(self, title, lines):
        self.number += 1
        self.transcript.write("## %03d %s\n" % (self.number, title))
        self.transcript.writelines(line + "\n" for line in lines)
        self.transcript.flush()

    def play(self, line):
        word, _, rest = line.partition(" ")
        if word.endswith(">"):
            self.write(line, self.session(word[:-1]).run(rest))
        elif word == "events":
            name, count = rest.split()
            self.write(line, self.session(name).wait_events(int(count)))
        elif word == "until":
            self.until(line, rest)
        elif word == "exit":
            self.write(line, ["exit code %d" % self.sessions.pop(rest).quit()])
        elif word == "oneshot":
            self.oneshot(line, rest)
        else:
            raise SystemExit("commands: no directive '%s' in: %s" % (word, line))

    def until(self, line, rest):
        name, _, rest = rest.partition("> ")
        command, _, text = rest.partition(" => ")
        end = time.monotonic() + DEADLINE
        while True:
            out = self.session(name).run(command)
            if any(text in printed for printed in out):
                break
            if time.monotonic() > end:
                out.append("<never printed: %s>" % text)
                break
            time.sleep(0.1)  # the pause between two polls
        self.write(line, out)

    def oneshot(self, line, rest):
        done = subprocess.run(
            [self.zkcli, "-waitforconnection", "-server", self.server] + shlex.split(rest),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE,
        )
        out = [normalise(printed) for printed in done.stdout.splitlines() if not EVENT.match(printed)]
        self.write(line, [printed for printed in out if printed is not None] + ["exit code %d" % done.returncode])


def main():
    zkcli, server, commands, transcript = sys.argv[1:]
    with open(commands, encoding="utf-8") as lines, open(transcript, "w", encoding="utf-8") as out:
        player = Player(zkcli, server, out)
        try:
            for line in lines:
                line = line.rstrip("\n")
                if line and not line.startswith("#"):
                    player.play(line)
        finally:
            for session in player.sessions.values():
                session.process.kill()
                session.process.wait()


main()
