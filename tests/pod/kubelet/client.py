"""A client that writes all the time, and what it was promised.

Like a client behind a Service: it connects only while the pod is an endpoint, and keeps a connection that works. One
write after the other, each with a value of its own. A write without an answer may be there later or not;
one with an answer must be.
"""

import base64
import json
import os
import subprocess
import threading
import time

import grpc

PAUSE = 0.01
DEADLINE = 1.0
# Whoever gets no answer tries a new connection soon; the default is a minute in the end.
OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200), ("grpc.use_local_subchannel_pool", 1)]


def field(number: int, text: bytes) -> bytes:
    """A protobuf field of bytes."""
    return bytes([number << 3 | 2]) + varint(len(text)) + text


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def fill(address: str, keys: int, size: int) -> float:
    """Puts so many keys with values of so many bytes, a hundred in one transaction: how long it took, in seconds."""
    begun, at_once = time.monotonic(), 16
    with grpc.insecure_channel(f"{address}:2379") as channel:
        txn = channel.unary_unary("/etcdserverpb.KV/Txn")
        under_way: list[grpc.Future] = []
        for first in range(0, keys, 100):
            if len(under_way) == at_once:
                under_way.pop(0).result()
            puts = (put_operation(f"fill/{number:010}", b"x" * size) for number in range(first, min(first + 100, keys)))
            under_way.append(txn.future(b"".join(puts), timeout=60))
        for answer in under_way:
            answer.result()
    return time.monotonic() - begun


def put_operation(key: str, value: bytes) -> bytes:
    """Of the transaction's `success`: a RequestOp with a PutRequest."""
    return field(2, field(2, field(1, key.encode()) + field(2, value)))


class Writer(threading.Thread):
    """`pod` is asked anew for each connection: after a roll it is another one."""

    def __init__(self, pod, prefix: str):
        super().__init__(daemon=True, name=f"writer {prefix}")
        self.pod, self.prefix = pod, prefix
        self.acknowledged: list[tuple[float, str]] = []
        self.refusals: dict[str, int] = {}
        self.attempts = 0
        self.is_done = False

    def run(self) -> None:
        while not self.is_done:
            pod = self.pod()
            if pod is None or not pod.is_endpoint:
                self.refusals["no endpoint"] = self.refusals.get("no endpoint", 0) + 1
                time.sleep(PAUSE)
                continue
            with grpc.insecure_channel(f"{pod.address}:2379", options=OPTIONS) as channel:
                self.write(channel.unary_unary("/etcdserverpb.KV/Put"))

    def write(self, put) -> None:
        """Until the connection no longer works. The server's refusals are answers: it does."""
        while not self.is_done:
            self.attempts += 1
            key = f"{self.prefix}{self.attempts:08}"
            try:
                put(field(1, key.encode()) + field(2, value(key).encode()), timeout=DEADLINE)
                self.acknowledged.append((time.monotonic(), key))
            except grpc.RpcError as error:
                said = f"{error.code().name}: {error.details()}"
                kind = said if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED else error.code().name
                self.refusals[kind] = self.refusals.get(kind, 0) + 1
                if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
                    time.sleep(PAUSE)
                    return
            time.sleep(PAUSE)

    def end(self) -> None:
        self.is_done = True
        self.join(10)

    def longest_gap(self, since: float = 0, until: float | None = None) -> float:
        """Seconds without an acknowledged write; the last gap ends now, or then."""
        until = until or time.monotonic()
        times = [since, *[at for at, _ in list(self.acknowledged) if since <= at <= until], until]
        times = times if since else times[1:]
        return max((after - before for before, after in zip(times, times[1:])), default=0.0)

    def first_after(self, at: float) -> float | None:
        return next((it for it, _ in list(self.acknowledged) if it > at), None)

    def lost(self, address: str) -> list[str]:
        """Acknowledged writes that are not there, by etcdctl."""
        found = etcdctl(address, "get", "--prefix", self.prefix, "--write-out", "json")
        rows = json.loads(found).get("kvs") or []
        there = {base64.b64decode(it["key"]).decode(): base64.b64decode(it["value"]).decode() for it in rows}
        return [key for _, key in self.acknowledged if there.get(key) != value(key)]


def value(key: str) -> str:
    return f"value of {key}"


def etcdctl(address: str, *words: str, timeout: float = 30) -> str:
    """Of tests/tools, from outside of the pod. An error is its message."""
    program = os.path.join(os.environ["METASTORE_ETCDCTL_DIR"], "etcdctl")
    environment = {"PATH": "/usr/bin:/bin", "ETCDCTL_ENDPOINTS": f"http://{address}:2379"}
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=timeout, env=environment)
    if done.returncode:
        raise RuntimeError(f"etcdctl {words[0]}: {done.stderr.strip().splitlines()[-1] if done.stderr else done.returncode}")
    return done.stdout
