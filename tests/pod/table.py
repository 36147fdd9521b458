"""Scenarios as rows: what one is, how it is run, and the page of the last run."""

import argparse
import concurrent.futures
import os
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from kubelet.node import Node, command
from stage import SMALL, Stage, merged

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pod-scenarios.md"
IS_REAL = bool(os.environ.get("METASTORE_POD_REAL"))


@dataclass
class Scenario:
    play: object
    title: str
    values: dict
    release: str = "store"
    speed: float = 1

    @property
    def name(self) -> str:
        return self.play.__name__ + ("" if self.release == "store" else f"@{self.release}")


@dataclass
class Row:
    scenario: Scenario
    sentence: str = ""
    unready: float = 0
    silent: float = 0
    acknowledged: int | None = None
    lost: int | None = None
    failure: str = ""
    said: str = field(default="", repr=False)


EVERY: list[Scenario] = []


def scenario(title: str, values: dict = {}, speed: float = 1, releases: tuple[str, ...] = ("store",)):
    def add(play):
        EVERY.extend(Scenario(play, title, merged(SMALL, values), name, speed) for name in releases)
        return play

    return add


def run(node: Node, it: Scenario) -> Row:
    row = Row(it)
    begun = time.monotonic()
    stage = Stage(node, it.release, it.values, it.speed)
    try:
        row.sentence = it.play(stage)
        if stage.mark:
            row.unready = stage.unready()
        if stage.writer:
            row.silent = stage.writer.longest_gap(stage.mark)
            row.acknowledged, lost = stage.settle()
            row.lost = len(lost)
            assert not lost, f"{len(lost)} acknowledged writes are lost, the first {lost[0]}"
    except Exception as error:  # one scenario's failure is a row, not the end of the others
        row.failure = f"{type(error).__name__}: {error}"
        row.said = traceback.format_exc()
    events = stage.table()
    logs = "".join(f"--- {name}\n{pod.logs(name)[-4000:]}" for pod in stage.pods for name in pod.containers) if row.failure else ""
    stage.close()
    numbers = f"no endpoint {row.unready:.1f} s, no acknowledged write {row.silent:.1f} s, {row.acknowledged} acknowledged, {row.lost} lost"
    clients = f"  clients: {numbers}, {stage.writer.refusals}\n" if stage.writer else ""
    verdict = f"FAILED: {row.failure}\n{row.said}{logs}" if row.failure else f"well: {row.sentence}"
    print(f"== {it.name} ({it.title}), {time.monotonic() - begun:.0f} s\n{events}\n{clients}  {verdict}\n", flush=True)
    return row


def seconds(number: float) -> str:
    return f"{number:.1f} s" if number else "–"


def page(rows: list[Row]) -> str:
    lines = ["| scenario | release | what happened | no endpoint | longest wait for a write | acknowledged | lost |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in rows:
        counts = [str(row.acknowledged), str(row.lost)] if row.acknowledged is not None else ["–", "–"]
        cells = [row.scenario.title, row.scenario.release, row.failure or row.sentence, seconds(row.unready), seconds(row.silent), *counts]
        lines.append(cells_of(cells))
    return "\n".join(lines) + "\n"


def cells_of(cells: list[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in cells)} |"


HEAD = """# What happens to the pod

<!-- Written by `{real}tests/pod/run --scenarios --write`. -->

The chart's pod, as Helm renders it, really run: `tests/pod/kubelet` plays kubelet on podman and runc (start order, probes, back-off, hooks, grace), with a
claim on an ext4 volume of its own and a client that writes all the time, one write after the other. *No endpoint*: for so long the Service had
nobody to send new clients to. *Longest wait for a write*: between two acknowledged ones. Lost: acknowledged, and not there at the end.
A restarted container starts at once the first time, after 10, 20, 40 … s then, as with kubelet; where a crash loop is the scenario, that is
made faster and the text says so. The images, with all they are made of: {sizes}. Last run: {machine}, commit {commit}.

What cannot run here: scheduler, CSI and CNI, so neither a move to another node nor an enforced NetworkPolicy; eviction, CPU weights.

"""


def head(sizes: str) -> str:
    described = command("git", "-C", PAGE.parent, "describe", "--always", "--dirty").strip()
    real = "METASTORE_POD_REAL=1 " if IS_REAL else ""
    return HEAD.format(real=real, sizes=sizes, machine=f"{os.cpu_count()} cores", commit=described)


def main(images) -> int:
    """`images` gives a node the images that scenarios use, and says how large they are."""
    options = argparse.ArgumentParser(description="Scenarios of the chart's pod, really run.")
    options.add_argument("--list", action="store_true", help="print their names")
    options.add_argument("--only", help="names, by commas; a name without @release means each release")
    options.add_argument("--jobs", type=int, default=2, help="how many at once")
    options.add_argument("--write", action="store_true", help="write docs/pod-scenarios.md")
    asked = options.parse_args()
    names = (asked.only or "").split(",")
    chosen = [it for it in EVERY if not asked.only or it.name in names or it.play.__name__ in names]
    if asked.list:
        print("\n".join(it.name for it in chosen))
        return 0
    node = Node(Path(os.environ["METASTORE_POD_NODE"]))
    try:
        sizes = images(node)
        with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
            rows = list(pool.map(lambda it: run(node, it), chosen))
        # Some promises are about seconds, and a scenario beside it may take them: what fails is judged once more, alone.
        for at, row in enumerate(rows):
            if row.failure and asked.jobs > 1:
                print(f"== {row.scenario.name} failed beside another: again, alone", flush=True)
                rows[at] = run(node, row.scenario)
    finally:
        node.close()
    print(page(rows))
    failed = [row.scenario.name for row in rows if row.failure]
    if asked.write and not failed:
        PAGE.write_text(head(sizes) + page(rows))
    print(f"{len(rows) - len(failed)} scenarios went well" + (f", {len(failed)} failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0
