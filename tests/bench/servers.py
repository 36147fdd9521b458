"""The servers that are measured, and the load generator: started on loopback with data of their own, ended by pid."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

START_LIMIT_S = 60
STOP_LIMIT_S = 60
LOAD_LIMIT_S = 300

# A run during which other processes took more than this part of the machine is repeated, this often at most,
DISTURBED = 0.15
REPEATS = 2
# and only while there is patience left: seconds, for all waiting for a quiet machine and all repeats together.
patience = 300.0

CORE = pathlib.Path(os.environ["METASTORE_CORE_BIN"]).absolute()
SIDECAR = pathlib.Path(os.environ.get("METASTORE_SIDECAR_BIN") or CORE.with_name("metastore-sidecar")).absolute()
LOAD = pathlib.Path(os.environ.get("METASTORE_LOAD_BIN") or CORE.with_name("metastore-load")).absolute()

running = []  # everything started and not yet ended
disturbances = []  # the part of the machine that others took, for each measured run


class Failed(Exception):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(command, log, variables=None):
    """A process without any of our variables but these."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("METASTORE_", "ETCD_"))}
    with open(log, "ab") as output:
        process = subprocess.Popen([str(word) for word in command], env=env | (variables or {}), stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output, start_new_session=True)
    running.append(process)
    return process


def end(process, how=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process in running:
        running.remove(process)


def end_all():
    for process in list(running):
        end(process)


def load_words(port, work):
    return [str(LOAD), *work.split(), "--endpoint", f"127.0.0.1:{port}"]


def load(port, work, pid=None):
    """One run of the load generator; what it reports."""
    words = load_words(port, work) + (["--pid", str(pid)] if pid else [])
    done = subprocess.run(words, capture_output=True, text=True, timeout=LOAD_LIMIT_S)
    if done.returncode != 0:
        raise Failed(f"{' '.join(words[1:])}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def start_load(port, work):
    process = subprocess.Popen(load_words(port, work), stdout=subprocess.PIPE, text=True, start_new_session=True)
    running.append(process)
    return process


def reported(process):
    text = process.communicate(timeout=LOAD_LIMIT_S)[0]
    running.remove(process)
    if process.returncode != 0:
        raise Failed("a load that ran beside another one failed")
    return json.loads(text)


class Server:
    def __init__(self, name, directory, etcd=None):
        self.name, self.etcd = name, etcd
        self.data, self.log = directory / name, directory / f"{name}.log"
        self.data.mkdir(mode=0o700)
        self.port, self.peer = free_port(), free_port()
        self.process = None
        self.start()

    def start(self):
        """Seconds from the start of the process to its first answer to a linearizable read."""
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.peer}"
        begin = time.monotonic()
        if self.etcd:
            self.process = start([self.etcd, "--data-dir", self.data, "--listen-client-urls", client, "--advertise-client-urls", client,
                                  "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
                                  "--quota-backend-bytes", 8 << 30, "--log-level", "error"], self.log)
        else:
            self.process = start([CORE], self.log, {"METASTORE_DATA_DIR": str(self.data), "METASTORE_LISTEN_CLIENT_URLS": client,
                                                    "METASTORE_INITIAL_ADVERTISE_PEER_URLS": peer, "METASTORE_LOG_LEVEL": "error"})
        try:
            load(self.port, f"first-read --deadline {START_LIMIT_S}")
        except Failed as failure:
            raise Failed(f"{self.name} does not serve: {failure}\n{self.log.read_text()[-2000:]}") from None
        return time.monotonic() - begin

    def restart(self, how):
        end(self.process, how)
        return self.start()

    def stop(self):
        end(self.process)

    def load(self, work):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with {self.process.returncode}\n{self.log.read_text()[-2000:]}")
        return load(self.port, work, self.process.pid)

    def measure(self, work):
        """`load`, when the machine has nothing else to do; repeated if it got something else to do meanwhile."""
        global patience
        for attempt in range(REPEATS + 1):
            settle()
            before = machine_busy()
            own = self.cpu() + children_cpu()
            begin = time.monotonic()
            outcome = work() if callable(work) else self.load(work)
            elapsed = time.monotonic() - begin
            others = machine_busy() - before - (self.cpu() + children_cpu() - own)
            disturbed = max(0.0, others / (elapsed * os.cpu_count()))
            if disturbed < DISTURBED or patience < elapsed or attempt == REPEATS:
                break
            patience -= elapsed
        disturbances.append(disturbed)
        return outcome

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self):
        """Resident memory: now, of it not backed by files, and at its height."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        figures = dict(line.split(":", 1) for line in status.splitlines())
        return [int(figures[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon", "VmHWM")]

    def disk_mib(self):
        # A file may go while they are counted.
        done = subprocess.run(["du", "-sm", str(self.data)], capture_output=True, text=True)
        return int(done.stdout.split()[0])

    def revision(self):
        return self.load("revision")["revision"]


def children_cpu():
    """CPU of load generators that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def machine_busy():
    """CPU seconds that the machine has worked, waits for the disk left out."""
    user, nice, system, _, _, irq, softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def settle(limit=10.0):
    """Waits until the machine is nearly idle: what a server does in the background would burden the next one."""
    global patience
    begin = time.monotonic()
    limit = min(limit, patience)
    while (now := time.monotonic()) < begin + limit:
        before = machine_busy()
        time.sleep(0.3)
        if machine_busy() - before < 0.12 * os.cpu_count() * (time.monotonic() - now):
            break
    patience -= time.monotonic() - begin
