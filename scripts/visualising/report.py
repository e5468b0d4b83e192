"""The table of a run's metrics for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.metrics import METRICS, format_metric, summarise

PART_NAMES = {"alone": "one frame alone", "blind": "the filter alone, to which nothing is shown"}
ADDS_LITTLE = 0.8  # MAE relative to that of the filter alone, from which the observations add little


def parts_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a frame alone and the filter alone reach, and a warning where the observations add little to the latter.

    Args:
        rows: of the episodes. One with an alarm is left out of the warning: its reward is to be far from the label.
    """
    means = summarise(rows)
    lines = [
        f"{part}: MAE {means[f'{name}_mae']:.3f}, Spearman {format_metric(means[f'{name}_spearman'])}"
        for name, part in PART_NAMES.items()
        if means[f"{name}_mae"] is not None
    ]
    calm = summarise([row for row in rows if row["alarm"] is None])
    mine, blind = calm["mae"], calm["blind_mae"]
    if mine is not None and blind is not None and mine > ADDS_LITTLE * blind:
        lines.append(
            "WARNING   the observations add little: the filter alone, which knows only the pace of the demonstrations, "
            f"is {'better' if blind < mine else 'nearly as good'} ({blind:.3f}; the policy: {mine:.3f}). Train for longer, or check the labels."
        )
    return lines


def table(rows: list[dict[str, Any]], means: dict[str, float | None]) -> str:
    """The metrics of every episode and their means."""
    lines = [
        f"{'':>8} {'':>7} {'':>8}  |{'policy':^29}|{'clock':^29}",
        f"{'episode':>8} {'frames':>7} {'trained':>8}  |"
        + "|".join([f" {'MAE':>8} {'Spearman':>9} {'final':>8} "] * 2),
    ]
    for row in [*rows, {"episode": "mean", "length": "", "trained_on": "", **means}]:
        trained = {True: "yes", False: "no", None: "unknown", "": ""}[row["trained_on"]]
        metrics = [format_metric(row[name]) for name in METRICS]
        lines.append(
            f"{row['episode']:>8} {row['length']:>7} {trained:>8}  |"
            + "|".join(f" {a:>8} {b:>9} {c:>8} " for a, b, c in (metrics[:3], metrics[3:]))
        )
    rule = "-" * len(lines[1])
    return "\n".join(line.rstrip() for line in [*lines[:2], rule, *lines[2:-1], rule, lines[-1]])
