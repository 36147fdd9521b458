#!/usr/bin/env python3
"""Runs commands.txt against metastore and etcd and prints where etcdctl's output differs.

  compare.py --core target/release/metastore-core      exit 0 only when equal
  compare.py --self-test                               etcd against etcd, and the normaliser against hidden differences
  compare.py --endpoints http://…:1 http://…:2 --format json    stores of yours, both fresh
"""

import argparse
import difflib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import script
from normalise import LOG_KEYS_DROPPED, VARYING
from servers import Server

HERE = Path(__file__).resolve().parent
BUILD_TOOLS = HERE.parent.parent / "tools" / "build"


class Running:
    """A server that someone else started."""

    def __init__(self, endpoint):
        self.endpoint = self.label = endpoint

    def check_alive(self):
        pass

    def log_tail(self):
        return ""


def main():
    options = parse_options()
    tools = Path(options.tools or subprocess.check_output([BUILD_TOOLS], text=True).strip())
    commands = script.read(HERE / "commands.txt", options.section)
    etcd, core = tools / "etcd", options.core or tools / "etcd"
    equal = True
    for output in options.format or script.FORMATS:
        if options.endpoints:
            left, right = map(Running, options.endpoints)
            records = run_both(tools / "etcdctl", left, right, output, commands)
        else:
            with Server(etcd) as left, Server(core) as right:
                records = run_both(tools / "etcdctl", left, right, output, commands)
        equal &= report(output, *records)
        if options.self_test:
            equal &= normaliser_hides_nothing(output, records[0])
    sys.exit(0 if equal else 1)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--core", type=Path, help="metastore-core binary")
    what.add_argument("--endpoints", nargs=2, metavar="URL", help="etcd's, then the other's")
    what.add_argument("--self-test", action="store_true")
    parser.add_argument("--tools", help="directory of etcd and etcdctl; tests/tools/build by default")
    parser.add_argument("--format", action="append", choices=script.FORMATS)
    parser.add_argument("--section", action="append", help="only this section; may be repeated")
    options = parser.parse_args()
    if options.endpoints and len(options.format or ()) != 1:
        parser.error("--endpoints needs one --format: each format expects fresh stores")
    return options


def run_both(etcdctl, left, right, output, commands):
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(lambda s=s: script.Runner(etcdctl, s, output).run(commands)) for s in (left, right)]
        return [run.result() for run in runs]


def report(output, ours, theirs):
    """Prints the differences of two transcripts; returns whether there were none."""
    pairs = [(a.shown(), b.shown()) for a, b in zip(ours, theirs, strict=True)]
    different = [pair for pair in pairs if pair[0] != pair[1]]
    for a, b in different:
        lines = difflib.unified_diff(a.splitlines(), b.splitlines(), "etcd", "metastore", lineterm="", n=100)
        print(f"--- {output} ---", *lines, sep="\n", end="\n\n")
    print(f"etcdctl -w {output}: {len(pairs) - len(different)} of {len(pairs)} commands print the same")
    return not different


# What may be hidden: a number behind one of these labels, the status line's own numbers, when and where the client logged.
_DROPPED = re.compile(rf'"(?:{"|".join(LOG_KEYS_DROPPED)})":"[^"]*"')
_MAY_HIDE = re.compile(
    rf'(?:"(?:{"|".join(VARYING)}|version|storageVersion|Version|StorageVersion|took|Took|ttl|TTL)"'
    r'(?: : |:)"?|took = |\. took |remaining\()[\d.]*$'
)
_WATCH_REVISION = re.compile(r'"member_id":\d+,"revision":$|"Revision" : $')
_STATUS_LINE = re.compile(r"^<?http://\S+, [0-9a-f]+, \d")


def normaliser_hides_nothing(output, records):
    """Changes each word of each record in turn: the change must show, unless it is one of the few that may not."""
    tried, hidden, wrong = 0, 0, []
    for record in records:
        truth = record.shown()
        for stream in ("stdout", "stderr"):
            original = getattr(record, stream)
            for word in re.finditer(r"\w+", original):
                tried += 1
                changed = original[: word.start()] + mutated(word[0]) + original[word.end() :]
                if with_stream(record, stream, changed).shown() == truth:
                    hidden += 1
                    if not may_hide(record.command, original, word):
                        wrong.append(f"{record.command.text}: {word[0]!r} in {line_of(original, word)!r}")
        if record.stdout and with_stream(record, "stdout", drop_last_line(record.stdout)).shown() == truth:
            wrong.append(f"{record.command.text}: its last line")
    for each in wrong[:20]:
        print(f"the normaliser hides: {each}")
    print(f"normaliser, {output}: {tried} changes, {hidden} hidden where they may be, {len(wrong)} where they must not")
    return tried > 1000 and not wrong


def mutated(word):
    return str(int(word) + 1) if re.fullmatch(r"[0-9]+", word) else word + "x"


def with_stream(record, stream, text):
    return script.Record(**{**vars(record), stream: text})


def drop_last_line(text):
    lines = text.splitlines(keepends=True)
    return "".join(lines[:-1]) or "nothing"


def line_of(text, word):
    start = text.rfind("\n", 0, word.start()) + 1
    return text[start : text.find("\n", word.end())]


def may_hide(command, text, word):
    line = line_of(text, word)
    if command.verb == "finish" and _WATCH_REVISION.search(text[: word.start()]):
        return True
    if line.startswith('{"level"'):
        return any(span.start() < word.start() - text.rfind("\n", 0, word.start()) - 1 < span.end() for span in _DROPPED.finditer(line))
    return bool(_STATUS_LINE.match(line) or _MAY_HIDE.search(text[: word.start()]))


if __name__ == "__main__":
    main()
