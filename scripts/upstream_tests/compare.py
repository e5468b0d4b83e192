"""The difference between two runs by test, and what of it is a regression."""

from collections import Counter
from pathlib import Path

from upstream_tests.run import Run, Side, run_all

OUTCOMES = ["passed", "failed", "error", "skipped", "xfailed"]
VANISHED = {"outcome": "vanished", "error": "no such test on the patched tree"}
RERUNS = 2
MAX_RERUN_TESTS = 100  # more failures than this are no chance


def compare(base: dict, head: dict) -> dict[str, list[str]]:
    """Test ids by how they changed, from each run's outcomes: {test: {"outcome": …, "error": first line}}."""

    def got(side: dict, test: str) -> str:
        return side.get(test, VANISHED)["outcome"]

    def bad(side: dict, test: str) -> bool:
        return got(side, test) in ("failed", "error")

    lost = [test for test in base if got(base, test) == "passed" and got(head, test) != "passed"]
    new = [test for test in head if test not in base]
    return {
        # also tests that were skipped on the pristine tree and fail on the patched one
        "worse": [t for t in head if t in lost or (t in base and bad(head, t) and not bad(base, t))],
        "vanished": [test for test in lost if test not in head],
        "new": new,
        "new_failing": [test for test in new if bad(head, test)],
        "fixed": [test for test in base if bad(base, test) and got(head, test) == "passed"],
        "failing_on_both": [test for test in base if bad(base, test) and bad(head, test)],
    }


def rerun(
    tests: list[str], base: Side, head: Side, known: dict, jobs: int, output_dir: Path
) -> dict[str, dict]:
    """Run `tests` alone, RERUNS times on each tree that has them; per test the outcomes on either tree."""
    seen: dict[str, dict[str, list[str]]] = {test: {"pristine": [], "patched": []} for test in tests}
    for attempt in range(1, RERUNS + 1):
        runs = [Run(head, f"rerun{attempt}", tests, output_dir)]
        on_base = [test for test in tests if test in known]
        if on_base:
            runs.append(Run(base, f"rerun{attempt}", on_base, output_dir))
        run_all(runs, jobs, quiet=True)
        for run in runs:
            run.read()
            for test in tests if run.side is head else on_base:
                outcome = run.outcomes.get(test, {"outcome": "no result"})["outcome"]
                seen[test][run.side.name].append(outcome)
    return seen


def summarise(base_run: Run, head_run: Run, found: dict, reruns: dict) -> dict:
    """The content of summary.json: the verdict first, both outcomes of every test last."""
    suspects = found["worse"] + found["new_failing"]

    def entry(test: str) -> dict:
        before, after = base_run.outcomes.get(test), head_run.outcomes.get(test, VANISHED)
        return {
            "test": test,
            "pristine": before["outcome"] if before else "not there",
            "patched": after["outcome"],
            "error": after["error"],
            "reruns": reruns.get(test, {}),
        }

    flaky = [test for test in suspects if reruns and set(reruns[test]["patched"]) == {"passed"}]
    regressions = [test for test in suspects if test not in flaky] + found["vanished"]
    new_outcomes = counts({test: head_run.outcomes[test] for test in found["new"]})
    return {
        "verdict": "regression" if regressions else "ok",
        **{
            side_run.side.name: {
                "commit": side_run.side.commit,
                "counts": counts(side_run.outcomes),
                "minutes": round(side_run.seconds / 60, 2),
                "pytest": side_run.command[3:],
            }
            for side_run in (base_run, head_run)
        },
        "regressions": [entry(test) for test in regressions],
        "flaky": [entry(test) for test in flaky],
        "fixed": found["fixed"],
        "new": {
            "count": len(found["new"]),
            "passed": new_outcomes["passed"],
            "failing": new_outcomes["failed"] + new_outcomes["error"],
            "tests": found["new"],
        },
        "failing_on_both": [
            {"test": t, "pristine": base_run.outcomes[t]["error"], "patched": head_run.outcomes[t]["error"]}
            for t in found["failing_on_both"]
        ],
        "tests": {
            test: [side.get(test, VANISHED)["outcome"] for side in (base_run.outcomes, head_run.outcomes)]
            for test in base_run.outcomes | head_run.outcomes
        },
    }


def counts(outcomes: dict) -> dict[str, int]:
    """The number of tests with each outcome."""
    tally = Counter(event["outcome"] for event in outcomes.values())
    return {outcome: tally[outcome] for outcome in OUTCOMES}
