"""What docs/ shows of the benchmark: which training runs stand for a task, the table, the plots and the CSV."""

import json
from collections.abc import Callable
from pathlib import Path

from lerobot_robot_so101_sim.days import SAME

from benchmarking.dots import FAILURES, PARTS, STOPS, draw_days, draw_dots
from benchmarking.results import (
    Metrics,
    Record,
    as_csv,
    group,
    on_same_day,
    over_seeds,
    over_tasks,
    pooled,
    records,
    table,
    table_of_days,
)

MAIN, EVIDENCE, DAYS = "benchmark", "benchmark_evidence", "benchmark_days"  # files in docs/
READERS: dict[str, Callable[[dict], list[Record]]] = {MAIN: on_same_day, EVIDENCE: records, DAYS: records}
OURS, WITHOUT, ALONE = "ours", "ours, without evidence", "ours, one frame alone"
Rows = dict[str, list[Metrics]]  # by row: the metrics of every training run
TASKS = {
    "so101-pick-place": "SO-101, pick and place",
    "so101-show": "SO-101, show and put back",
    "pick-place-v3": "pick-place",
    "drawer-open-close": "drawer-open-close",
    "drawer-open-v3": "drawer-open",
    "door-open-v3": "door-open",
    "window-open-v3": "window-open",
    "cr5_banana": "real arm, banana on plate",
}
# Plots of other days: the task and the seed.
DRAWN = {"so101_days.png": ("so101-pick-place", "1000"), "so101_show_days.png": ("so101-show", "1000")}
COMPARED = {"clock": "a clock", "original": "the original's head", OURS: "RewACT"}
ROWS = {"clock": "a clock", "original": "the original's head", WITHOUT: "RewACT without evidence"}


def load(docs: Path) -> dict[str, list[Record]]:
    """The records of every file, by its name."""
    return {
        name: read(json.loads((docs / f"{name}.json").read_text())["results"])
        for name, read in READERS.items()
    }


def csv_of(sources: dict[str, list[Record]]) -> str:
    """Every figure, with mean and spread over seeds, and over the tasks of `make benchmark`."""
    lines = {name: [*measured, *over_seeds(measured)] for name, measured in sources.items()}
    lines[MAIN] += over_tasks(sources[MAIN])
    return as_csv(lines)


def rows_of(sources: dict[str, list[Record]], task: str) -> list[Rows]:
    """What was measured of a task on the same day, from every file that has it, by row."""
    found = []
    for measured in sources.values():
        of_task = [record for record in measured if (record.task, record.day) == (task, SAME)]
        if rows := {row: metrics for (row,), metrics in group(of_task, "row").items()}:
            found.append(rows | {"clock": rows["clock"][:1]})  # it has no seed
    return found


def as_shipped(sources: dict[str, list[Record]], task: str) -> Rows:
    """RewACT as it ships, or without evidence where only that was measured, and what it is compared with."""
    found = rows_of(sources, task)
    rows = {row: metrics for rows in found for row, metrics in rows.items()} | original_of(found)
    left_out = (ALONE, WITHOUT) if OURS in rows else (ALONE,)
    return {row: metrics for row, metrics in rows.items() if row not in left_out}


def same_runs(sources: dict[str, list[Record]], task: str) -> Rows:
    """The parts of RewACT, all from the same training runs, and what they are compared with."""
    found = rows_of(sources, task)
    return {row: metrics for row, metrics in (found[-1] | original_of(found)).items() if row != "newer head"}


def original_of(found: list[Rows]) -> Rows:
    """The original's head from the first file that has it: the others' one run is there for the other days."""
    return next(({"original": rows["original"]} for rows in found if "original" in rows), {})


def table_of_tasks(sources: dict[str, list[Record]]) -> str:
    """RewACT on every task, and the mean of the tasks of `make benchmark` beside what it is compared with."""
    shipped = {name: as_shipped(sources, task) for task, name in TASKS.items()}
    lines = {
        name + ("" if OURS in rows else " *"): rows[OURS if OURS in rows else WITHOUT]
        for name, rows in shipped.items()
    }
    means = pooled(sources[MAIN])
    tasks = len({record.task for record in sources[MAIN]})
    lines |= {f"mean of {tasks} tasks: {label}": means[row] for row, label in ROWS.items()}
    return table(lines)


def table_of_other_days(sources: dict[str, list[Record]]) -> str:
    """A clock, the original's head and RewACT on other days, of every task whose days were measured."""
    lines: dict[tuple[str, str], list[Metrics]] = {}
    for task, name in TASKS.items():
        other = [
            record
            for measured in sources.values()
            for record in measured
            if record.task == task and record.day != SAME
        ]
        by_row = group(other, "row")
        lines |= {(name, label): by_row[(row,)] for row, label in COMPARED.items() if (row,) in by_row}
    return table_of_days(lines)


TABLES = {"tasks": table_of_tasks, "other days": table_of_other_days}


def fill_page(page: str, sources: dict[str, list[Record]]) -> str:
    """docs/REWARD.md with its tables made anew, each of which stands between two comments."""
    for name, make in TABLES.items():
        begin, end = f"<!-- {name}: made by scripts/benchmark_report.py -->\n", f"<!-- end of {name} -->\n"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"docs/REWARD.md must hold the lines {begin.strip()} and {end.strip()} once")
        before, rest = page.split(begin)
        page = f"{before}{begin}\n{make(sources)}\n{end}{rest.split(end)[1]}"
    return page


def draw(images: Path, sources: dict[str, list[Record]]) -> None:
    """Draw the plot of every question into the folder `images`."""
    shipped = {name: as_shipped(sources, task) for task, name in TASKS.items()}
    draw_dots(images / "benchmark_failures.png", shipped, FAILURES)
    draw_dots(images / "benchmark_stops.png", shipped, STOPS)
    parts = {name: same_runs(sources, task) for task, name in TASKS.items()}
    draw_dots(images / "benchmark_parts.png", parts, PARTS)
    for file, run in DRAWN.items():
        days = [
            record
            for record in sources[DAYS]
            if (record.task, record.seed) == run and record.row in ("clock", "original", WITHOUT, OURS)
        ]
        draw_days(images / file, days)
