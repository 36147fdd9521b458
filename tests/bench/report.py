"""From figures to Markdown: the tables, whether each target is met, and the machine they come from."""
import datetime
import os
import pathlib
import platform
import statistics
import subprocess

MISSED = "**missed**"


def median(runs, figure):
    values = [run[figure] for run in runs if run.get(figure) is not None]
    return statistics.median(values) if values else float("nan")


def number(value):
    if value != value:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(*cells):
    print(flush=True)
    row(*cells)
    row(*("---" for _ in cells))


def verdict(wanted):
    """`wanted`: (text of the target, whether it holds; None where it could not be measured)."""
    words = []
    for text, holds in wanted:
        words.append(f"{text}: {'not measured' if holds is None else 'met' if holds else MISSED}")
    return "; ".join(words)


WORK_HEAD = ("work", "server", "ops/s", "p50 µs", "p99 µs", "CPU µs/op", "RSS MiB", "errors", "ops ×", "CPU ×", "p99 ×", "RSS ×", "target")


def work_rows(label, runs, targets):
    """One row a server; ratios to etcd, the first server, are medians of the rounds' own ratios where there are several."""
    least_ops, most_cpu = targets
    etcd = runs.get("etcd")
    for name, own in runs.items():
        cells = [number(median(own, figure)) for figure in ("ops_per_s", "p50_us", "p99_us", "cpu_us_per_op", "rss_mb")]
        errors = sum(run.get("errors", 0) for run in own)
        ratios, judged = [""] * 4, ""
        if name != "etcd":
            ratio = {figure: median(own, figure) / median(etcd, figure) if etcd else None
                     for figure in ("ops_per_s", "cpu_us_per_op", "p99_us", "rss_mb")}
            ratios = [f"{value:.2f}" if value is not None and value == value else "–" for value in ratio.values()]
            wanted = []
            if least_ops:
                wanted.append((f"ops ≥ {least_ops}", ratio["ops_per_s"] >= least_ops if etcd else None))
            if most_cpu:
                wanted.append((f"CPU ≤ {most_cpu}", ratio["cpu_us_per_op"] <= most_cpu if etcd else None))
            judged = verdict(wanted)
        row(label, name, *cells, errors, *ratios, judged)


def output_of(*command, cwd=None):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=cwd)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def facts(root, core, etcd, directory):
    """What the figures depend on besides the code."""
    cpu = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    filesystem = output_of("stat", "--file-system", "--format", "%T", str(directory))
    commit = output_of("git", "rev-parse", "--short", "HEAD", cwd=root) or "unknown"
    if output_of("git", "status", "--porcelain", "--", "core", "proto", "Cargo.lock", cwd=root):
        commit += " with changes not committed"
    print(f"* {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC, commit {commit}")
    print(f"* {os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, Linux {platform.release()}, data on {filesystem}")
    print(f"* {output_of(str(core), '--version').splitlines()[0]}; "
          + (", ".join(output_of(str(etcd), "--version").splitlines()[:1]) if etcd else "no etcd: Go is not here, so there are no ratios"))
    print(f"* load average at the start: {', '.join(f'{load:.2f}' for load in os.getloadavg())}", flush=True)
    if filesystem == "tmpfs":
        print("* **the data is in memory: syncs cost nothing and the figures of puts mean little** (set TMPDIR)", flush=True)
