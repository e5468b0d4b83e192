"""scripts/benchmark_speed.py and benchmarking/timing.py: taking turns, the ratios, the table. Nothing is timed here."""

import pytest
from benchmark_speed import ROWS, parse_size, table
from benchmarking.timing import ratio, take_turns
from shared.cli import UserError


def test_the_variants_take_turns_and_the_first_turn_is_not_counted():
    calls = []
    variants = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = take_turns(variants, 3, "cpu")
    assert calls == ["b", "a", "a", "b", "b", "a", "a", "b"]
    assert {name: len(turns) for name, turns in times.items()} == {"a": 3, "b": 3}


def test_the_ratio_is_that_of_the_turns_whatever_slowed_them():
    figures = ratio({"a": [0.2, 2.0, 0.4], "b": [0.1, 1.0, 0.4]}, "a", "b")
    assert figures["ratio"] == 2
    assert (figures["ms"], figures["baseline_ms"]) == (400, 400)
    assert ratio({"a": [3.0], "b": [1.0]}, "a", "b")["quartiles"] == [3, 3]


def test_the_table_has_every_figure_of_every_size():
    of_size = dict.fromkeys(ROWS, {"ratio": 1.5, "ms": 3.0, "baseline_ms": 2.0})
    of_size["visualise"] = {"ratio": 3.0, "fps": 30.0, "baseline_fps": 10.0}
    of_size["control_rewards"] = {"per_s": 2.34}
    lines = table({"480x640": of_size, "96x96": of_size}).splitlines()
    assert len(lines) == len(ROWS) + 2
    assert all(line.count("|") == lines[0].count("|") == 5 for line in lines)
    assert "1.5 (3 / 2 ms)" in lines[2] and any("3 (30 / 10 fps)" in line for line in lines)
    assert "| 2.34 |" in lines[-1]


@pytest.mark.parametrize("text", ["96", "96x", "16x16", "axb"])
def test_a_bad_size_is_named(text):
    with pytest.raises(UserError, match=f"--sizes {text}: write a size"):
        parse_size(text)
