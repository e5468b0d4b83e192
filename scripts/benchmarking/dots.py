"""The dot plots of the benchmark: one question each, a line for each task or day, and a dot for what gave the reward."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from shared.drawing import BLUE, GREY, ORANGE, PAGE_DPI, PAGE_WIDTH, SKY_BLUE, VERMILION, plt

from benchmarking.results import RATES, Metrics, Record, group, interval, told

LINE, REST = 0.4, 1.9  # inches for each line, and for titles, axis and legend
LIMITS = (-0.08, 1.08)  # of an axis from 0 to 1, so that no dot is cut
# In the order in which they are drawn within a line, from top to bottom.
STYLES: dict[str, dict[str, Any]] = {
    "clock": {"color": ORANGE, "marker": "x", "markersize": 7, "markeredgewidth": 2, "label": "a clock"},
    "original": {"color": VERMILION, "marker": "s", "markersize": 6, "label": "the original's head"},
    "newer head": {"color": GREY, "marker": "^", "markersize": 7, "label": "the original author's newer head"},
    "ours, one frame alone": {"color": "black", "marker": "|", "markersize": 10, "markeredgewidth": 2, "label": "RewACT, one frame alone"},
    "ours, without evidence": {"color": SKY_BLUE, "marker": "D", "markersize": 6, "label": "RewACT without evidence"},
    "ours": {"color": BLUE, "marker": "o", "markersize": 8, "label": "RewACT"},
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One part of a plot.

    Attributes:
        title: over it.
        value: of the metrics of a training run, None where it was not measured.
        better: the side on which the better values are, "left" or "right".
        top: where the axis ends, which begins at 0, if no value is higher.
        rate: whether it is the share of episodes, in the metric of that name.
    """

    title: str
    value: Callable[[Metrics], float | None]
    better: str = "left"
    top: float = 1.0
    rate: str | None = None


def metric(key: str) -> Callable[[Metrics], float | None]:
    return lambda metrics: metrics.get(key)


def share(title: str, key: str) -> Panel:
    """A panel for a rate in RATES."""
    return Panel(title, metric(key), rate=key)


def auroc(title: str, name: str | None) -> Panel:
    """A panel for a group of failures, None for all of them."""
    return Panel(title, partial(told, name=name), better="right")


FAILURES = (
    auroc("ghost: moves\nwithout object", "ghost"),
    auroc("miss: object\nis elsewhere", "miss"),
    auroc("object is\nlost late", "lost late"),
    auroc("stall: stops\nhalf way", "stall"),
    auroc("put down in a\nwrong place", "wrong place"),
)
STOPS = (
    share("failures stopped\nas done", "false_stops"),
    share("successes\nnever stopped", "missed_stops"),
    Panel("seconds from done\nto the stop", metric("stop_delay_s"), top=3.0),
)
PARTS = (
    Panel("mean absolute error\nof the reward", metric("mae"), top=0.25),
    auroc("AUROC, mean of the\nkinds of failures", None),
    STOPS[0],
)
DAYS = (
    Panel("error of\nthe reward", metric("mae"), top=0.15),
    auroc("AUROC, mean\nof the kinds", None),
    share("failures\nstopped", "false_stops"),
    share("stopped\ntoo early", "early_stops"),
    share("never\nstopped", "missed_stops"),
)


def is_measured(rows: dict[str, list[Metrics]], panel: Panel) -> bool:
    return any(panel.value(each) is not None for metrics in rows.values() for each in metrics)


def range_of(panel: Panel, metrics: Sequence[Metrics], values: Sequence[float]) -> tuple[float, float]:
    """What a dot's line shows: the range over several training runs, or the 95 % interval of a single run's rate."""
    if len(values) == 1 and panel.rate and (n := metrics[0].get(RATES[panel.rate])):
        return interval(values[0], int(n))
    return min(values), max(values)


def draw_dots(path: Path, lines: dict[str, dict[str, list[Metrics]]], panels: Sequence[Panel]) -> None:
    """Draw a panel for each measure, a line for each task or day, and a dot for each row of it.

    A line without any dot is left out.

    Args:
        path: the PNG file to write.
        lines: {label: {row in STYLES: the metrics of every training run}}.
        panels: from left to right.
    """
    lines = {
        label: rows for label, rows in lines.items() if any(is_measured(rows, panel) for panel in panels)
    }
    names = [name for name in STYLES if any(name in rows for rows in lines.values())]
    offsets = dict(zip(names, np.linspace(-0.27, 0.27, len(names)) if len(names) > 1 else [0.0], strict=True))
    with plt.rc_context({"font.size": 10.5}):
        figure, axes = plt.subplots(
            1, len(panels), figsize=(PAGE_WIDTH, LINE * len(lines) + REST), sharey=True, layout="constrained",
            facecolor="white",
        )  # fmt: skip
        for axis, panel in zip(axes, panels, strict=True):
            for place, rows in enumerate(lines.values()):
                for name in names:
                    metrics = rows.get(name, [])
                    values = [value for each in metrics if (value := panel.value(each)) is not None]
                    if values:
                        style, y = STYLES[name], place + offsets[name]
                        axis.plot(
                            range_of(panel, metrics, values), (y, y), color=style["color"], linewidth=1.5
                        )
                        axis.plot(np.mean(values), y, linestyle="", clip_on=False, **style)
            style_panel(axis, panel, len(lines))
            label_gaps(axis, panel, lines)
        axes[0].set_yticks(range(len(lines)), lines)
        axes[0].set_ylim(len(lines) - 0.5, -0.5)  # the first line on top
        handles = [plt.Line2D([], [], linestyle="", **STYLES[name]) for name in names]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=10, frameon=False)
        figure.savefig(path, dpi=PAGE_DPI)
        plt.close(figure)


def style_panel(axis: plt.Axes, panel: Panel, lines: int) -> None:
    """Shade every second line, and say on the axis what is measured and on which side is better."""
    top = max(panel.top, axis.dataLim.x1)
    axis.set_xlim(LIMITS[0] * top, LIMITS[1] * top)
    if panel.rate:
        axis.set_xticks([0, 0.5, 1], ["0", "50", "100 %"])
    elif panel.top == 1:
        axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.set_title(panel.title, fontsize=10.5)
    axis.set_xlabel("← better" if panel.better == "left" else "better →", fontsize=9.5, color=GREY)
    for place in range(0, lines, 2):
        axis.axhspan(place - 0.5, place + 0.5, color="#f3f3f3", linewidth=0, zorder=0)
    axis.grid(axis="x", color="#d8d8d8")
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)


def label_gaps(axis: plt.Axes, panel: Panel, lines: dict[str, dict[str, list[Metrics]]]) -> None:
    """Say in a line without a dot that there is none."""
    for place, rows in enumerate(lines.values()):
        if not is_measured(rows, panel):
            middle = {"x": 0.5, "y": place, "transform": axis.get_yaxis_transform()}
            axis.text(**middle, s="not measured", ha="center", va="center", fontsize=8.5, color=GREY)


def draw_days(path: Path, measured: Sequence[Record]) -> None:
    """Draw how a task goes on every day.

    Args:
        path: the PNG file to write.
        measured: on a task, every day.
    """
    lines: dict[str, dict[str, list[Metrics]]] = {}
    for (day, row), metrics in group(measured, "day", "row").items():
        lines.setdefault(day, {})[row] = metrics
    draw_dots(path, lines, DAYS)
