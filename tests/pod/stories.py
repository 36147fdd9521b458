#!/usr/bin/env python3
"""A real Kubernetes API server whose store is the chart's pod, and the chart installed into that cluster.

Run by tests/pod/run, which provides images and tools. The stories of cluster/stories.py are told in order to one cluster.
"""

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

import images
from cluster.agent import Agent
from cluster.control_plane import ControlPlane
from cluster.stories import EVERY, Cluster, Story
from kubelet.node import Node, command
from stage import Stage
from table import cells_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kubernetes.md"
HEAD = """# A real Kubernetes API server on metastore

<!-- Written by `tests/pod/run --cluster --write`. -->

kube-apiserver and kube-controller-manager, built from their Go modules, keep everything in the chart's pod, which is really run (see
[pod-scenarios.md](pod-scenarios.md)). The chart is then installed into that same cluster, with Helm 3 and 4: the controllers of StatefulSets, EndpointSlices,
claims and namespaces are the real ones; the scheduler, the provisioner of volumes and kubelet are `tests/pod/cluster/agent.py`, which binds each pod, runs it
from what the API server holds, and posts its status. Last run: {machine}, commit {commit}.

"""


def main() -> int:
    options = argparse.ArgumentParser(description="Stories of a real API server on metastore.")
    options.add_argument("--list", action="store_true", help="print them")
    options.add_argument("--only", help="a part of titles; the first story, the start, is always told")
    options.add_argument("--write", action="store_true", help="write docs/kubernetes.md")
    asked = options.parse_args()
    chosen = [it for it in EVERY if not asked.only or asked.only in it.title or it is EVERY[0]]
    if asked.list:
        print("\n".join(it.title for it in chosen))
        return 0
    node = Node(Path(os.environ["METASTORE_POD_NODE"]))
    try:
        images.load(node)
        told = run(node, chosen)
    finally:
        node.close()
    failed = [it.title for it, _, failure in told if failure]
    rows = [cells_of([it.title, failure or said]) for it, said, failure in told]
    table = "\n".join(["| story | what happened |", "|---|---|", *rows, ""])
    print(table)
    if asked.write and not failed:
        described = command("git", "-C", PAGE.parent, "describe", "--always", "--dirty").strip()
        PAGE.write_text(HEAD.format(machine=f"{os.cpu_count()} cores", commit=described) + table)
    print(f"{len(told) - len(failed)} stories went well" + (f", {len(failed)} failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def run(node: Node, chosen: list[Story]) -> list[tuple[Story, str, str]]:
    """The cluster is taken down whatever happens, in the order in which its parts need each other."""
    directory = node.directory / "pods" / "cluster"
    directory.mkdir(parents=True)
    store = Stage(node, "etcd", {"persistence": {"size": "4Gi"}})
    plane = agent = None
    try:
        store.install()
        store.ready()
        plane = ControlPlane(directory, Path(os.environ["METASTORE_KUBERNETES_DIR"]), f"http://{store.pod.address}:2379")
        seconds = plane.start()
        agent = Agent(plane.api, node, plane.certificates)
        agent.start()
        return [tell(it, Cluster(store, plane, agent, seconds)) for it in chosen]
    finally:
        if agent:
            agent.close()
        if plane:
            plane.close()
        store.close()


def tell(story: Story, at: Cluster) -> tuple[Story, str, str]:
    begun = time.monotonic()
    said = failure = ""
    try:
        said = story.tell(at)
        assert not at.agent.faults, at.agent.faults
    except Exception as error:  # one story's failure is a row, not the end of the others
        failure = f"{type(error).__name__}: {error}"
        traceback.print_exc(file=sys.stdout)
        for it in [*at.agent.running.values(), *at.agent.past]:
            print(f"--- {it.pod.name}\n{it.pod.table()}")
            print("".join(f"--- {name}\n{it.pod.logs(name)[-3000:]}" for name in it.pod.containers))
        print(*(f"--- {name}\n{at.plane.log(name)}" for name in at.plane.running), sep="\n")
    print(f"== {story.title}, {time.monotonic() - begun:.0f} s\n  {f'FAILED: {failure}' if failure else f'well: {said}'}\n", flush=True)
    return story, said, failure


if __name__ == "__main__":
    sys.exit(main())
