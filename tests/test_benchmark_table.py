"""The benchmark: what it does not know it does not print, and what it does not have it measures."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from benchmarking import measuring
from benchmarking.measuring import measure_actions
from benchmarking.results import COLUMNS, table


@pytest.mark.parametrize("plain", [0.25, 0.75])
def test_success_is_printed_where_plain_act_succeeds(plain):
    rows = {
        "clock": {"mae": 0.25},
        "ours": {"mae": 0.125, "success_rate": 0.5},
        "plain ACT": {"success_rate": plain},
    }
    lines = table(
        {"drawer": {"1000": rows, "1001": {"clock": {"mae": 0.75}, "ours": {"mae": 0.375}}}}
    ).splitlines()
    columns = list(COLUMNS)

    def cell(row: str, key: str) -> str:
        (line,) = (line for line in lines if line.startswith(f"| {row} |"))
        return line.split("|")[2 + columns.index(key)].strip()

    assert cell("clock", "mae") == "0.500 ± 0.354"
    assert cell("plain ACT", "mae") == "n/a"
    assert cell("ours", "success_rate") == ("0.500" if plain >= 0.5 else "not measured")
    assert cell("plain ACT", "success_rate") == ("0.750" if plain >= 0.5 else "not measured")


def test_full_run_after_a_quick_one_measures_plain_act(tmp_path, monkeypatch):
    """A quick run leaves plain ACT out; what it has measured is not all."""
    loaded = []

    def load_policy(folder, needs_reward):
        loaded.append((folder.name, needs_reward))
        return None, None, None

    monkeypatch.setattr(measuring, "load_policy", load_policy)
    monkeypatch.setattr(measuring, "step_times", lambda policies, frames: dict.fromkeys(policies, 1.0))
    monkeypatch.setattr(measuring, "action_error", lambda *args: 0.5)
    monkeypatch.setattr(measuring, "success_rate", lambda *args: 0.75)
    task = SimpleNamespace(read_successes=lambda: [None], name="drawer", train_lengths=[9])
    file, ours = tmp_path / "actions.json", {"ours": Path("ours")}
    full = ours | {"plain ACT": Path("plain ACT")}

    assert measure_actions(task, ours, file) == {"ours": {"action_l1": 0.5, "ms": 1.0}}
    assert measure_actions(task, full, file)["plain ACT"]["success_rate"] == 0.75
    assert measure_actions(task, full, file) == json.loads(file.read_text())
    assert loaded == [("ours", True), ("ours", True), ("plain ACT", False)]  # nothing twice
