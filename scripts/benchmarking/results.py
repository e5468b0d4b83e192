"""The benchmark's figures: a record for each row of every training run, their short table, and all of them as CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from lerobot_robot_so101_sim.days import SAME
from scipy.stats import binomtest

AUROC = "auroc_final_"
# What the simulators' kinds of failures have in common. The names are the columns of the short table.
GROUPS = {
    "ghost": ("ghost", "pinned", "slip"),
    "miss": ("miss",),
    "lost late": ("lost_late",),
    "stall": ("stall",),
    "wrong place": ("wrong_goal", "beside"),
}
# Rates, and the number of episodes that each is a share of.
RATES = {
    "alarms_success": "n_success",
    "early_stops": "n_success",
    "missed_stops": "n_success",
    "false_stops": "n_failures",
}
# The first columns of the CSV.
FIRST = ("n_success", "n_failures", "mae", "voc", "mae_switch", "final_success",
    *(f"{rate}{end}" for rate in RATES for end in ("", "_low", "_high")), "stop_delay_s", "stop_threshold", "ece",
    "action_l1", "success_rate", "ms", "mae_with_latent", "mae_without_latent")  # fmt: skip
SHORT = ("MAE", "ghost", "miss", "stall", "false stops", "missed stops")
ON_DAYS = ("MAE", "ghost", "miss", "false stops", "missed stops")
Metrics = dict[str, float | None]


@dataclass(frozen=True)
class Record:
    """What was measured of one row in one training run.

    Attributes:
        task: its name.
        day: of the held-out episodes.
        seed: of the training run, as text.
        row: what gave the reward: "clock", "original", "ours", "ours, without evidence", ...
        metrics: see `scores.score`.
    """

    task: str
    day: str
    seed: str
    row: str
    metrics: Metrics


def records(results: dict[str, dict[str, dict[str, dict[str, Metrics]]]]) -> list[Record]:
    """The records of {task: {seed: {day: {row: metrics}}}}, as benchmark_days.py has it."""
    return [
        Record(task, day, seed, row, metrics)
        for task, seeds in results.items()
        for seed, days in seeds.items()
        for day, rows in days.items()
        for row, metrics in rows.items()
    ]


def on_same_day(results: dict[str, dict[str, dict[str, Metrics]]]) -> list[Record]:
    """The records of {task: {seed: {row: metrics}}}, as benchmark.py has it."""
    return records({t: {seed: {SAME: rows} for seed, rows in seeds.items()} for t, seeds in results.items()})


def group(measured: Iterable[Record], *by: str) -> dict[tuple[str, ...], list[Metrics]]:
    """The metrics of the records that agree in the attributes `by`."""
    found: dict[tuple[str, ...], list[Metrics]] = {}
    for record in measured:
        found.setdefault(tuple(getattr(record, name) for name in by), []).append(record.metrics)
    return found


def told(metrics: Metrics, name: str | None = None) -> float | None:
    """How well failures are told from successes: the mean AUROC of a group in GROUPS, or of all kinds. None without."""
    kinds = None if name is None else {AUROC + kind for kind in GROUPS[name]}
    values = [
        value for key, value in metrics.items() if key.startswith(AUROC) and (not kinds or key in kinds)
    ]
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def interval(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a rate (Wilson)."""
    found = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return found.low, found.high


def defined(metrics: Sequence[Metrics], key: str) -> list[float]:
    """The values of a metric that are known."""
    return [value for each in metrics if (value := each.get(key)) is not None]


def mean(metrics: Sequence[Metrics]) -> Metrics:
    """The mean of every metric, over those that define it."""
    keys = dict.fromkeys(key for each in metrics for key in each)
    return {key: fmean(values) if (values := defined(metrics, key)) else None for key in keys}


def spread(metrics: Sequence[Metrics]) -> Metrics:
    """The standard deviation of every metric, None where fewer than two define it."""
    keys = dict.fromkeys(key for each in metrics for key in each)
    return {key: stdev(values) if len(values := defined(metrics, key)) > 1 else None for key in keys}


def pooled(measured: Sequence[Record]) -> dict[str, list[Metrics]]:
    """By row: the metrics of every task, each the mean over its seeds."""
    by_task = group(measured, "row", "task")
    rows = dict.fromkeys(record.row for record in measured)
    return {row: [mean(metrics) for (name, _), metrics in by_task.items() if name == row] for row in rows}


def rounded(value: float, digits: int) -> str:
    """A figure that is not negative with so many decimals; a half is rounded up, also where a float is just below it."""
    return f"{value + 1e-9:.{digits}f}"


def mean_and_spread(values: Sequence[float | None], digits: int) -> str:
    """'0.123 ± 0.045' of the values that are defined, 'n/a' if none is, and no spread where it rounds to zero."""
    known = [value for value in values if value is not None]
    if not known:
        return "n/a"
    text = rounded(fmean(known), digits)
    deviation = rounded(stdev(known), digits) if len(known) > 1 else "0"
    return text if float(deviation) == 0 else f"{text} ± {deviation}"


def total_of(metrics: Sequence[Metrics], key: str) -> float | None:
    """The number of episodes that a rate is a share of, None if it is not known or not the same everywhere."""
    totals = {each.get(RATES[key]) for each in metrics}
    return totals.pop() if len(totals) == 1 else None


def rate(metrics: Sequence[Metrics], key: str) -> str:
    """'8 % (9, 7 of 105)': a mean rate, and the count of every run if the number of episodes is known and the same."""
    shares = defined(metrics, key)
    total = total_of(metrics, key)
    if not shares or total is None:
        text = mean_and_spread([100 * share for share in shares], 0)
        return text if text == "n/a" else f"{text} %"
    counts = [f"{share * total:.0f}" for share in shares]
    listed = counts[0] if len(set(counts)) == 1 else ", ".join(counts)
    return f"{rounded(100 * fmean(shares), 0)} % ({listed} of {total:.0f})"


def extent(values: Sequence[float | None], digits: int, unit: str = "") -> str:
    """'0.031 to 0.044' of the lowest and the highest value, one figure if both are shown as the same, 'n/a' without values."""
    known = [value for value in values if value is not None]
    if not known:
        return "n/a"
    low, high = rounded(min(known), digits), rounded(max(known), digits)
    return f"{low if low == high else f'{low} to {high}'}{unit}"


def extent_of_rate(metrics: Sequence[Metrics], key: str) -> str:
    """'1 to 6 of 40': the counts of a rate, if the number of episodes is known and the same, else in per cent."""
    shares = defined(metrics, key)
    total = total_of(metrics, key)
    if total is None:
        return extent([100 * share for share in shares], 0, " %")
    return extent([share * total for share in shares], 0, f" of {total:.0f}")


def table_of_days(lines: Mapping[tuple[str, str], Sequence[Metrics]]) -> str:
    """The lowest and the highest figure of several days, in Markdown.

    Args:
        lines: {(task, what gave the reward): the metrics of every day}.
    """
    text = ["| | | " + " | ".join(ON_DAYS) + " |", "|---" * (len(ON_DAYS) + 2) + "|"]
    before = None
    for (task, row), metrics in lines.items():
        cells = [
            extent([each.get("mae") for each in metrics], 3),
            *(extent([told(each, name) for each in metrics], 2) for name in ("ghost", "miss")),
            extent_of_rate(metrics, "false_stops"),
            extent_of_rate(metrics, "missed_stops"),
        ]
        text.append(f"| {'' if task == before else task} | {row} | " + " | ".join(cells) + " |")
        before = task
    return "\n".join(text) + "\n"


def table(lines: Mapping[str, Sequence[Metrics]]) -> str:
    """The short table in Markdown.

    Args:
        lines: {label: the metrics to take the mean of, one a seed or task}.
    """
    text = ["| | " + " | ".join(SHORT) + " |", "|---" * (len(SHORT) + 1) + "|"]
    for label, metrics in lines.items():
        cells = [
            mean_and_spread(defined(metrics, "mae"), 3),
            *(
                mean_and_spread([told(each, name) for each in metrics], 2)
                for name in ("ghost", "miss", "stall")
            ),
            rate(metrics, "false_stops"),
            rate(metrics, "missed_stops"),
        ]
        text.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


def table_of(measured: Sequence[Record]) -> str:
    """The short table of every task, day and row, and of the means over the tasks if there are several."""
    days = len({record.day for record in measured}) > 1
    lines = {
        f"{task}, {day}, {row}" if days else f"{task}, {row}": metrics
        for (task, day, row), metrics in group(measured, "task", "day", "row").items()
    }
    tasks = len({record.task for record in measured})
    if tasks > 1 and not days:
        lines |= {f"mean of {tasks} tasks, {row}": metrics for row, metrics in pooled(measured).items()}
    return table(lines)


def with_intervals(record: Record) -> Metrics:
    """The metrics of a record; of a training run also the 95 % interval of every rate whose number of episodes is known."""
    found = dict(record.metrics)
    for key, number in RATES.items():
        share, n = found.get(key), found.get(number)
        if share is not None and n is not None and record.seed.isdigit():
            found[f"{key}_low"], found[f"{key}_high"] = interval(share, int(n))
    return found


def over_seeds(measured: Sequence[Record]) -> list[Record]:
    """Mean and spread over the seeds, of what has several."""
    return [
        Record(task, day, name, row, value)
        for (task, day, row), metrics in group(measured, "task", "day", "row").items()
        if len(metrics) > 1
        for name, value in (("mean", mean(metrics)), ("spread", spread(metrics)))
    ]


def over_tasks(measured: Sequence[Record]) -> list[Record]:
    """Mean and spread over the tasks, measured on the same day."""
    task = f"all {len({record.task for record in measured})} tasks"
    return [
        Record(task, SAME, name, row, value)
        for row, metrics in pooled(measured).items()
        for name, value in (("mean", mean(metrics)), ("spread", spread(metrics)))
    ]


def as_csv(sources: Mapping[str, Sequence[Record]]) -> str:
    """Every figure as CSV, a line for each record.

    Args:
        sources: {name of the file that the records are from: records}.
    """
    lines = [
        ((source, record.task, record.day, record.seed, record.row), with_intervals(record))
        for source, measured in sources.items()
        for record in measured
    ]
    keys = dict.fromkeys(key for _, metrics in lines for key in metrics)
    keys = dict.fromkeys(key for key in FIRST if key in keys) | keys
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["source", "task", "day", "seed", "row", *keys])
    for head, metrics in lines:
        writer.writerow([*head, *(shown(metrics.get(key)) for key in keys)])
    return text.getvalue()


def shown(value: float | None) -> str:
    """A figure with up to four decimals, empty where there is none."""
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
