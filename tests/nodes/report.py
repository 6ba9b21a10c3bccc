"""report.py DIRECTORY: docs/conformance.md from the reports of ginkgo there. report.py --run FILE: what one run did."""

import collections
import glob
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
HEAD = """# Conformance

The specs of the upstream suite that are marked `[Conformance]`, and what they said of monokube with stock nodes
(`make nodes`). `make conformance` writes this file: each spec's last result counts.
"""


def specs(path):
    """Name, result and seconds of each spec of a report."""
    with open(path) as file:
        suites = json.load(file)
    for suite in suites:
        for spec in suite["SpecReports"] or []:
            if spec["LeafNodeType"] != "It":
                continue
            name = " ".join((spec["ContainerHierarchyTexts"] or []) + [spec["LeafNodeText"]])
            state = spec["State"]
            result = {"passed": PASSED, "skipped": NOT_RUN, "pending": NOT_RUN}.get(state, FAILED)
            if state == "skipped" and spec["RunTime"] > 0 and spec.get("Failure"):
                result = "skipped"  # by itself: it wants something else of the cluster
            yield name, result, spec["RunTime"] / 1e9


def last(directory):
    """The last result of each conformance spec."""
    results = {}
    for path in sorted(glob.glob(os.path.join(directory, "*.json"))):
        for name, result, seconds in specs(path):
            if "[Conformance]" in name and (result != NOT_RUN or name not in results):
                results[name] = result, seconds
    return results


def reasons():
    """What specs wait for that do not pass, by pattern."""
    with open(os.path.join(HERE, "waiting.tsv")) as file:
        rows = [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]
    return [(re.compile(pattern), reason) for pattern, reason in rows]


def table(head, rows):
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |")


def document(directory):
    results = last(directory)
    areas = collections.defaultdict(collections.Counter)
    for name, (result, _) in results.items():
        areas[re.match(r"\[(sig-[a-z-]+)\]", name).group(1)][result] += 1
    kinds = [PASSED, FAILED, "skipped", NOT_RUN]
    print(HEAD, end="")
    rows = [[area] + [areas[area][kind] for kind in kinds] for area in sorted(areas)]
    rows.append(["all"] + [sum(areas[area][kind] for area in areas) for kind in kinds])
    table(["area"] + kinds, rows)
    waiting = reasons()
    print("\n## What does not pass, and what it waits for")
    left = sorted(name for name, (result, _) in results.items() if result != PASSED)
    why = {name: next((reason for pattern, reason in waiting if pattern.search(name)), None) for name in left}
    why = {name: reason or ("a run" if results[name][0] == NOT_RUN else "not known yet") for name, reason in why.items()}
    table(["spec", "waits for"], why.items())
    print("\n## All specs")
    rows = [(name, result, "" if result == NOT_RUN else round(seconds)) for name, (result, seconds) in sorted(results.items())]
    table(["spec", "result", "seconds"], rows)


def run(path):
    ran = [spec for spec in specs(path) if spec[1] != NOT_RUN]
    for name, result, seconds in sorted(ran, key=lambda spec: (spec[1], spec[0])):
        print(f"{result}\t{round(seconds)}\t{name}")
    counts = collections.Counter(result for _, result, _ in ran)
    print(", ".join(f"{count} {result}" for result, count in sorted(counts.items())) or "no spec ran")


if sys.argv[1] == "--run":
    run(sys.argv[2])
else:
    document(sys.argv[1])
