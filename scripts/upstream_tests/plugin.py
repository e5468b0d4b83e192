"""A pytest plug-in that writes one JSON line per event to the file that REWACT_OUTCOMES names.

Each run loads a copy of this file with `-p`, so it must import nothing of ours. A JUnit file would not do: it comes
only at the end, so a crash would lose it, and progress is shown before.
"""

import json
import os


def pytest_configure(config):
    config.pluginmanager.register(OutcomeRecorder(os.environ["REWACT_OUTCOMES"]))


class OutcomeRecorder:
    RANK = ["passed", "skipped", "xfailed", "failed", "error"]  # the worst of setup, call and teardown counts

    def __init__(self, path):
        self.file = open(path, "a", buffering=1)  # noqa: SIM115  # a crash loses no line
        self.current = {}

    def write(self, **event):
        self.file.write(json.dumps(event) + "\n")

    def pytest_collectreport(self, report):
        if report.outcome != "passed":  # a file that fails to import or skips itself
            outcome = "error" if report.outcome == "failed" else "skipped"
            self.write(test=report.nodeid, outcome=outcome, error=first_line(report))

    def pytest_collection_finish(self, session):
        self.write(collected=[item.nodeid for item in session.items])

    def pytest_runtest_logstart(self, nodeid):
        self.current = {"test": nodeid, "outcome": "passed", "error": ""}
        self.write(start=nodeid)

    def pytest_runtest_logreport(self, report):
        outcome = report.outcome
        if outcome == "failed" and report.when != "call":
            outcome = "error"
        if hasattr(report, "wasxfail"):
            outcome = "xfailed"
        if self.RANK.index(outcome) > self.RANK.index(self.current["outcome"]):
            self.current.update(outcome=outcome, error=first_line(report))

    def pytest_runtest_logfinish(self, nodeid):
        self.write(**self.current)

    def pytest_sessionfinish(self, exitstatus):
        self.write(exit=int(exitstatus))


def first_line(report) -> str:
    """The most telling line of a report: the exception's message, or the reason of a skip."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr or "")
    lines = [line for line in text.splitlines() if line.strip()]
    exceptions = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (exceptions[-1] if exceptions else lines[0] if lines else "")[:300]
