"""commands.txt: reading it, and running it against one server."""

import base64
import json
import re
import shlex
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from normalise import normalise

FORMATS = ("simple", "json", "fields")
COMMAND_S = 20
END_OF_WATCH = b"the end"
_END_MARKS = (END_OF_WATCH, base64.b64encode(END_OF_WATCH))
_SETTLE_S = 0.1


@dataclass
class Command:
    section: str
    line: int
    text: str
    verb: str = "run"  # run, start, finish
    name: str = ""  # of the background watch, or of the lease to remember
    stdin: list[str] = field(default_factory=list)


@dataclass
class Record:
    """What one command printed: raw, and the names to normalise it with."""

    command: Command
    code: int
    stdout: str
    stderr: str
    names: dict[str, str]

    def shown(self):
        is_watch = self.command.verb == "finish" or self.command.text.startswith("watch")
        out, err = (normalise(text, self.names, is_watch) for text in (self.stdout, self.stderr))
        stdin = "".join(f"| {line}\n" for line in self.command.stdin)
        return f"$ {self.command.text}   (commands.txt:{self.command.line})\n{stdin}{out}{err}exit {self.code}\n"


def read(path, sections=None):
    """Returns the commands of the named sections, or of all."""
    commands, section = [], ""
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        if line.startswith("|"):
            commands[-1].stdin.append(line[2:])
        elif title := re.fullmatch(r"\[(.+)\]", line):
            section = title[1]
        elif line and not line.startswith("#"):
            commands.append(_command(section, number, line))
    known = {each.section for each in commands}
    if unknown := set(sections or ()) - known:
        raise SystemExit(f"no section {sorted(unknown)}; there are: {sorted(known)}")
    return [each for each in commands if not sections or each.section in sections]


def _command(section, number, line):
    if started := re.fullmatch(r"start (\w+): (.+)", line):
        return Command(section, number, started[2], "start", started[1])
    if finished := re.fullmatch(r"finish (\w+)", line):
        return Command(section, number, line, "finish", finished[1])
    if granted := re.fullmatch(r"(.+) -> (\w+)", line):
        return Command(section, number, granted[1], "run", granted[2])
    return Command(section, number, line)


class Runner:
    """Runs commands against one server, in one output format, and keeps what it must remember between them."""

    def __init__(self, etcdctl, server, output):
        self.server, self.output = server, output
        self.base = [str(etcdctl), f"--endpoints={server.endpoint}"]
        self.names = self._identity()
        self.leases, self.watches, self.section, self.revision = {}, {}, None, 0

    def run(self, commands):
        return [record for each in commands if (record := self._one(each))]

    def _one(self, command):
        self.server.check_alive()
        if command.section != self.section:
            self.section = command.section
            self._quiet("del", "", "--prefix")
            self.revision = self._header("get", "no-such-key")["revision"]
        if command.verb == "finish":
            return self._record(command, *self.watches.pop(command.name).finish())
        arguments = self.base + ["-w", self.output] + self._arguments(command.text)
        if command.text.startswith("watch"):
            watch = _Watch(arguments)
            if command.verb == "start":
                self.watches[command.name] = watch
                return None
            return self._record(command, *watch.finish())
        stdin = "".join(self._substitute(line) + "\n" for line in command.stdin)
        done = _call(arguments, stdin.encode())
        if command.name:
            self._remember_lease(command.name, done[1])
        return self._record(command, *done)

    def _record(self, command, code, stdout, stderr):
        return Record(command, code, _text(stdout), _text(stderr), dict(self.names))

    def _arguments(self, text):
        return [_bytes(self._substitute(word)) for word in shlex.split(text)]

    def _substitute(self, text):
        text = re.sub(r"\{rev([+-]\d+)?\}", lambda m: str(self.revision + int(m[1] or 0)), text)
        return re.sub(r"\{(\w+)\}", lambda m: self.leases.get(m[1], m[0]), text)

    def _remember_lease(self, name, stdout):
        printed = re.search(rb'^lease ([0-9a-f]{16}) |"ID" ?: ?(\d+)', stdout)
        if printed is None:
            printed = re.search(rb'"ID" ?: ?(\d+)()', stdout)
        if printed is None:
            self.leases[name] = "0"
            return
        lease = int(printed[1], 16) if printed[0].startswith(b"lease") else int(printed[1] or printed[2])
        self.leases[name] = f"{lease:x}"
        self.names |= {str(lease): f"<lease {name}>", f"{lease:016x}": f"<lease {name}>", f"{lease:x}": f"<lease {name}>"}

    def _identity(self):
        header = self._header("get", "no-such-key")
        members = self._json("member", "list")["members"]
        names = {self.server.endpoint: "<client url>"}
        for number, kind in ((header["cluster_id"], "cluster"), (header["member_id"], "member")):
            if number < 1 << 32:
                raise SystemExit(f"{self.server.label}: {kind} id {number} is too small to tell from other numbers")
            names |= {str(number): f"<{kind}>", f"{number:x}": f"<{kind}>", f"{number:016x}": f"<{kind}>"}
        return names | {url: "<peer url>" for member in members for url in member["peerURLs"]}

    def _header(self, *arguments):
        return self._json(*arguments)["header"]

    def _json(self, *arguments):
        return json.loads(self._quiet("-w", "json", *arguments))

    def _quiet(self, *arguments):
        code, stdout, stderr = _call(self.base + list(arguments), b"")
        if code:
            raise SystemExit(f"{self.server.label}: {' '.join(arguments)}: {_text(stderr)}\n{self.server.log_tail()}")
        return stdout


class _Watch:
    """A running `etcdctl watch`, whose output goes to files so that it never waits for us."""

    def __init__(self, arguments):
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err)

    def finish(self):
        deadline = time.monotonic() + COMMAND_S
        while self.process.poll() is None and time.monotonic() < deadline:
            if any(mark in self._read(self.out) for mark in _END_MARKS):
                break
            time.sleep(0.02)
        else:
            return self._stop("ended by itself" if self.process.returncode is not None else "gave up waiting")
        size = -1
        while size != (size := len(self._read(self.out))):
            time.sleep(_SETTLE_S)
        return self._stop("saw the end")

    def _stop(self, how):
        code = self.process.poll()
        if code is None:
            self.process.kill()
            self.process.wait()
            code = 0
        out, err = self._read(self.out), self._read(self.err)
        self.out.close()
        self.err.close()
        return code, out, err + f"[{how}]\n".encode()

    @staticmethod
    def _read(file):
        file.seek(0)
        return file.read()


def _call(arguments, stdin):
    try:
        done = subprocess.run(arguments, input=stdin, capture_output=True, timeout=COMMAND_S)
    except subprocess.TimeoutExpired as late:
        return 124, late.stdout or b"", (late.stderr or b"") + f"[no end within {COMMAND_S} s]\n".encode()
    return done.returncode, done.stdout, done.stderr


def _bytes(word):
    r"""'\xNN' in a word is that byte."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()), word.encode())


def _text(raw):
    return raw.decode(errors="backslashreplace")
