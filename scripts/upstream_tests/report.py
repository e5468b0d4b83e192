"""A summary of the difference as text."""

import re
from collections import Counter
from pathlib import Path

from upstream_tests.compare import OUTCOMES, RERUNS


def short(path: Path) -> Path:
    """A path relative to the current folder, if it is inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def reason(error: str) -> str:
    """An error without paths and addresses, which differ from run to run."""
    return re.sub(r"(/|0x)[^\s'\"]+", "", error)


def report(summary: dict) -> None:
    """Print what summary.json holds, without the single tests that did not change."""
    print(f"\n{'':10}" + "".join(f"{outcome:>9}" for outcome in OUTCOMES) + f"{'total':>9}{'minutes':>9}")
    for name in ("pristine", "patched"):
        side = summary[name]
        cells = "".join(f"{side['counts'][outcome]:9d}" for outcome in OUTCOMES)
        print(f"{name:10}{cells}{sum(side['counts'].values()):9d}{side['minutes']:9.1f}")
    # A test that needs the Hub fails on both trees and can hide a fault of the series: show where the errors differ.
    other = [e for e in summary["failing_on_both"] if reason(e["pristine"]) != reason(e["patched"])]
    print(f"\nfailing on both: {len(summary['failing_on_both'])}, of them {len(other)} with another error")
    for entry in other:
        print(f"  {entry['test']}\n    {entry['pristine']}\n    {entry['patched']}")
    new = summary["new"]
    print(f"new tests: {new['count']}, of them {new['passed']} passed, {new['failing']} not passing")
    for title, key in [("fixed", "fixed"), ("edited by the series", "edited_tests")]:
        if summary[key]:
            print(f"{title}: {len(summary[key])}\n" + "\n".join(f"  {test}" for test in summary[key]))
    if summary["flaky"]:
        print(
            f"flaky: {len(summary['flaky'])} (failed on the patched tree, then passed {RERUNS} times alone: "
            "chance, or an effect of the tests before it)"
        )
        print_tests(summary["flaky"])
    if summary["regressions"]:
        print(f"regressions: {len(summary['regressions'])}")
        print_tests(summary["regressions"])


def print_tests(entries: list[dict]) -> None:
    vanished = [entry for entry in entries if entry["patched"] == "vanished"]
    for entry in entries:
        if entry not in vanished:
            print(f"  {entry['test']}\n    {entry['pristine']} -> {entry['patched']}: {entry['error']}")
            for side, outcomes in entry.get("reruns", {}).items():
                if outcomes:
                    print(f"    alone on {side}: {', '.join(outcomes)}")
    # All tests of a file that no longer imports are gone: one line per file, not per test.
    by_file = Counter(entry["test"].split("::")[0] for entry in vanished)
    for file, count in by_file.items():
        some = next(entry["test"] for entry in vanished if entry["test"].startswith(file))
        print(f"  {file}: {count} that passed are gone, such as {some}")
