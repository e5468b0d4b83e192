"""The benchmark: what it does not know it does not print, what it does not have it measures, and docs/ shows its figures."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from benchmarking import measuring
from benchmarking.dots import STOPS, draw_dots
from benchmarking.measuring import measure_actions
from benchmarking.report import csv_of, fill_page, load
from benchmarking.results import as_csv, on_same_day, over_seeds, over_tasks, records, table_of, table_of_days
from PIL import Image

DOCS = Path(__file__).resolve().parents[1] / "docs"


def cells(text: str, label: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_the_table_has_the_mean_and_the_spread_of_what_is_known():
    first = {"clock": {"mae": 0.25, "auroc_final_ghost": 0.5}, "ours": {"mae": 0.125, "false_stops": 0.25}}
    second = {"clock": {"mae": 0.75, "auroc_final_ghost": None}, "ours": {"mae": 0.125, "false_stops": 0.75}}
    other = {"clock": {"mae": 0.0, "auroc_final_pinned": 0.25, "auroc_final_slip": 0.75}}
    text = table_of(on_same_day({"drawer": {"1000": first, "1001": second}, "block": {"1000": other}}))

    assert cells(text, "drawer, clock") == ["0.500 ± 0.354", "0.50", "n/a", "n/a", "n/a", "n/a"]
    assert cells(text, "drawer, ours") == ["0.125", "n/a", "n/a", "n/a", "50 ± 35 %", "n/a"]
    assert cells(text, "block, clock")[1] == "0.50"  # two kinds of ghost
    assert cells(text, "mean of 2 tasks, clock")[0] == "0.250 ± 0.354"


def test_rates_are_counts_where_the_number_of_episodes_is_known():
    runs = [
        {"mae": 0.1, "n_failures": 8, "false_stops": n / 8, "n_success": 4, "missed_stops": 0.5}
        for n in (1, 2)
    ]
    days = [{"same day": {"ours": run}, "darker": {"ours": run}} for run in runs]
    measured = records({"block": dict(zip(("1000", "1001"), days, strict=True))})

    assert cells(table_of(measured), "block, darker, ours")[-2:] == ["19 % (1, 2 of 8)", "50 % (2 of 4)"]
    lines = list(csv.DictReader(as_csv({"days": [*measured, *over_seeds(measured)]}).splitlines()))
    first, *_, spread = (line for line in lines if line["day"] == "darker")
    assert (first["false_stops"], first["false_stops_low"], first["false_stops_high"]) == (
        "0.125",
        "0.0224",
        "0.4709",
    )
    assert (
        spread["seed"] == "spread" and spread["false_stops"] == "0.0884" and spread["false_stops_low"] == ""
    )


def test_the_lowest_and_the_highest_figure_of_several_days():
    counted = [
        {"mae": mae, "auroc_final_pinned": 0.25, "auroc_final_slip": 0.75, "auroc_final_miss": miss,
         "n_failures": 40, "false_stops": 0.5, "n_success": 20, "missed_stops": missed}
        for mae, miss, missed in ((0.0321, 1.0, 0.05), (0.0444, None, 0.25), (0.04, 0.995, 0.0))
    ]  # fmt: skip
    other = [{"mae": 0.1, "false_stops": 0.125}, {"mae": 0.1, "false_stops": 0.5}]
    text = table_of_days(
        {("door", "a clock"): counted, ("door", "RewACT"): counted, ("block", "RewACT"): other}
    )

    clock, ours, block = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:])
    assert clock[:2] == ["door", "a clock"] and ours[:2] == ["", "RewACT"]  # a task is named once
    assert clock[2:] == ours[2:] == ["0.032 to 0.044", "0.50", "1.00", "20 of 40", "0 to 5 of 20"]
    assert block == ["block", "RewACT", "0.100", "n/a", "n/a", "13 to 50 %", "n/a"]


def test_the_csv_has_the_means_over_seeds_and_tasks():
    measured = on_same_day(
        {"a": {"1": {"ours": {"mae": 0.1}}, "2": {"ours": {"mae": 0.3}}}, "b": {"1": {"ours": {"mae": 0.4}}}}
    )
    lines = csv.DictReader(
        as_csv({"x": [*measured, *over_seeds(measured), *over_tasks(measured)]}).splitlines()
    )
    found = {(line["task"], line["seed"]): line["mae"] for line in lines}
    assert found[("a", "2")] == "0.3" and found[("a", "mean")] == "0.2"
    assert found[("all 2 tasks", "mean")] == "0.3" and found[("all 2 tasks", "spread")] == "0.1414"


def test_the_documents_show_the_figures_of_the_json_files():
    sources = load(DOCS)
    hint = "run python scripts/benchmark_report.py"
    assert (DOCS / "benchmark.csv").read_text() == csv_of(sources), hint
    page = (DOCS / "REWARD.md").read_text(encoding="utf-8")
    assert page == fill_page(page, sources), hint


def test_a_page_without_a_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="REWARD.md"):
        fill_page("# The reward\n", load(DOCS))


def test_a_plot_is_opaque_and_leaves_out_what_was_not_measured(tmp_path):
    rows = {
        "clock": [{"missed_stops": 1.0, "n_success": 20}],
        "ours": [{"missed_stops": 0.0}, {"missed_stops": 0.2}],
    }
    draw_dots(tmp_path / "one.png", {"a": rows}, STOPS)
    draw_dots(tmp_path / "two.png", {"a": rows, "b": {"ours": [{"mae": 0.1}]}}, STOPS)
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert one.size == two.size and one.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


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
