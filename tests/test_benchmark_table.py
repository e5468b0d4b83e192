"""The table of the benchmark: what it does not know it does not print."""

import pytest
from benchmark import COLUMNS, table


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
