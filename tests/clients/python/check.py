"""Drives a server with python-etcd3: what a Python service would do, from put to lock."""

import queue
import sys
import threading
import time
import traceback
from urllib.parse import urlsplit

import etcd3

WAIT_S = 20


def put_get_delete(client, key):
    assert client.get(key("a")) == (None, None)
    client.put(key("a"), "1")
    assert client.put(key("a"), "2", prev_kv=True).prev_kv.value == b"1"
    value, meta = client.get(key("a"))
    assert (value, meta.version) == (b"2", 2), (value, meta.version)
    for name in "cb":
        client.put(key(name), name)
    found = [meta.key.decode()[-1] for _, meta in client.get_prefix(key(""), sort_order="descend")]
    assert found == ["c", "b", "a"], found
    assert client.delete(key("a")) and not client.delete(key("a"))
    assert client.delete_prefix(key("")).deleted == 2


def binary(client, key):
    raw = bytes(range(256))
    client.put(key("").encode() + raw, raw)
    assert client.get(key("").encode() + raw)[0] == raw


def transaction(client, key):
    put, get, txn = client.transactions.put, client.transactions.get, client.transactions
    client.put(key("a"), "1")
    succeeded, answers = client.transaction(
        compare=[txn.value(key("a")) == "1", txn.version(key("new")) == 0],
        success=[put(key("a"), "2"), get(key("a"))],
        failure=[get(key("a"))],
    )
    assert succeeded and answers[1][0][0] == b"2", answers
    succeeded, answers = client.transaction(compare=[txn.version(key("a")) > 5], success=[], failure=[get(key("a"))])
    assert not succeeded and answers[0][0][0] == b"2", answers
    assert client.replace(key("a"), "2", "3") and not client.replace(key("a"), "2", "4")
    assert client.put_if_not_exists(key("b"), "1") and not client.put_if_not_exists(key("b"), "2")


def watch(client, key):
    client.put(key("a"), "0")
    first = client.get(key("a"))[1].mod_revision
    events, cancel = client.watch_prefix(key(""), start_revision=first, prev_kv=True)
    client.put(key("a"), "1")
    client.delete(key("a"))
    seen = [next(events) for _ in range(3)]
    cancel()
    assert [type(e).__name__ for e in seen] == ["PutEvent", "PutEvent", "DeleteEvent"], seen
    assert [e.prev_value for e in seen] == [b"", b"0", b"1"], [e.prev_value for e in seen]


def watch_callback(client, key):
    seen = queue.Queue()
    watch_id = client.add_watch_callback(key("a"), lambda response: [seen.put(e.value) for e in response.events])
    for n in range(50):
        client.put(key("a"), str(n))
    assert [seen.get(timeout=WAIT_S) for _ in range(50)] == [str(n).encode() for n in range(50)]
    client.cancel_watch(watch_id)


def watch_compacted(client, key):
    client.put(key("a"), "1")
    client.put(key("a"), "2")
    revision = client.get(key("a"))[1].mod_revision
    client.compact(revision, physical=True)
    events, _ = client.watch(key("a"), start_revision=revision - 1)
    try:
        next(events)
    except etcd3.exceptions.RevisionCompactedError as compacted:
        assert compacted.compacted_revision == revision
    else:
        raise AssertionError("a watch below the compacted revision goes on")


def lease(client, key):
    held = client.lease(60)
    client.put(key("a"), "1", lease=held)
    assert 50 < held.remaining_ttl <= 60 and held.granted_ttl == 60
    assert held.keys == [key("a").encode()], held.keys
    assert held.refresh()[0].TTL == 60
    held.revoke()
    assert client.get(key("a")) == (None, None)
    assert client.get_lease_info(held.id).TTL == -1


def lease_expires(client, key):
    client.put(key("a"), "1", lease=client.lease(2))
    deadline = time.monotonic() + WAIT_S
    while client.get(key("a"))[0] is not None:
        assert time.monotonic() < deadline, "a lease of 2 s holds its key"
        time.sleep(0.1)


def lock(client, key):
    first, second = client.lock(key("lock"), ttl=30), client.lock(key("lock"), ttl=30)
    assert first.acquire(timeout=WAIT_S) and not second.acquire(timeout=0.5)
    waiter = threading.Timer(0.3, first.release)
    waiter.start()
    assert second.acquire(timeout=WAIT_S) and second.is_acquired()
    waiter.join()
    assert second.release()


def cluster(client, key):
    members = list(client.members)
    assert len(members) == 1 and members[0].client_urls, members
    status = client.status()
    assert status.leader.id == members[0].id and status.db_size > 0
    assert list(client.list_alarms()) == []
    assert client.hash() >= 0
    client.defragment()


CHECKS = [put_get_delete, binary, transaction, watch, watch_callback, watch_compacted, lease, lease_expires, lock, cluster]


def main(endpoint):
    url = urlsplit(endpoint)
    client = etcd3.client(host=url.hostname, port=url.port, timeout=WAIT_S)
    failed = 0
    for check in CHECKS:
        prefix = f"python/{check.__name__}/{time.time_ns()}/"
        try:
            check(client, lambda name: prefix + name)
            print(f"ok python_{check.__name__}")
        except Exception:
            failed += 1
            print(f"FAIL python_{check.__name__}: {traceback.format_exc()}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
