"""The images of a run: the curve of one episode with a few of its frames, and the curves of all episodes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.patches import ConnectionPatch
from shared.drawing import PREDICTED, WARNING, Curve, legend_entries, plot_curve, plt
from shared.metrics import format_metric

from visualising.caption import Caption, camera_name
from visualising.verdict import Verdict

N_THUMBNAILS = 6


def metrics_line(metrics: Mapping[str, float | None]) -> str:
    """The metrics of an episode as they stand over its image."""
    shown = {name: format_metric(value) for name, value in metrics.items()}
    mine = f"MAE {shown['mae']}   Spearman {shown['spearman']}   final {shown['final_reward']}"
    if metrics["clock_mae"] is None:
        return mine
    return f"{mine}      clock:  MAE {shown['clock_mae']}   Spearman {shown['clock_spearman']}"


def thumbnail_frames(length: int, fall: int | None = None) -> list[int]:
    """The frames to show over the curve: the first, the last, and evenly spread ones between.

    Args:
        length: of the episode.
        fall: the frame in which the reward falls most. It takes the place of the nearest one between.
    """
    frames = sorted({round(i) for i in np.linspace(0, length - 1, N_THUMBNAILS)})
    if fall is None or fall in frames:
        return frames
    nearest = min(frames[1:-1], key=lambda frame: abs(frame - fall))
    return sorted({fall, *frames} - {nearest})


def draw_image(
    path: Path,
    caption: Caption,
    verdict: Verdict,
    curve: Curve,
    metrics: Mapping[str, float | None],
    thumbnails: dict[int, dict[str, np.ndarray]],
    fall: int | None = None,
    reason: str = "",
) -> None:
    """Draw the whole curve of an episode with a few frames over it, each tied to its moment.

    Args:
        path: the PNG file to write.
        caption: what to write over it.
        verdict: how the episode ended, and what the policy says.
        curve: of the episode.
        metrics: of the episode, see `episode_metrics`.
        thumbnails: {frame index: {camera: (H, W, 3) uint8}}.
        fall: that of the frames in which the reward falls most.
        reason: why it does, in words.
    """
    cameras = list(thumbnails[0])
    n = len(thumbnails)
    width, left, right = 12.0, 0.65, 0.25  # inches
    cell = (width - left - right) / max(n, 4)
    rows = [cell * 0.94 * thumbnails[0][c].shape[0] / thumbnails[0][c].shape[1] for c in cameras]
    head, tie, plot, foot = 1.35, 0.42, 2.7, 1.15 if reason else 0.85
    height = head + sum(rows) + 0.1 * len(rows) + tie + plot + foot
    fig = plt.figure(figsize=(width, height), dpi=110, facecolor="white")

    fig.text(left / width, 1 - 0.3 / height, verdict.sentence().capitalize(), fontsize=15, weight="bold",
             va="center", color=WARNING if verdict.is_wrong else "black")  # fmt: skip
    fig.text(left / width, 1 - 0.64 / height, caption.title, fontsize=12, va="center")
    fig.text(1 - right / width, 1 - 0.64 / height, caption.status, fontsize=12, va="center", ha="right",
             color=caption.colour, weight="bold" if caption.warning else "normal")  # fmt: skip
    fig.text(
        left / width, 1 - 0.94 / height, metrics_line(metrics), fontsize=11, va="center", color="#333333"
    )

    ax = fig.add_axes((left / width, foot / height, 1 - (left + right) / width, plot / height))
    plot_curve(ax, curve)
    ax.set_xlabel("seconds")
    ax.set_ylabel("reward")
    if reason:
        fig.text(left / width, 0.5 / height, reason, fontsize=11, va="center", color=WARNING)
    # Outside the axes, because a curve may pass through any corner inside.
    fig.legend(*legend_entries(ax), ncols=9, frameon=False, fontsize=10.5, columnspacing=1.2,
               loc="center", bbox_to_anchor=(0.5, 0.2 / height))  # fmt: skip

    for i, (frame, images) in enumerate(thumbnails.items()):
        top = height - head
        for camera, row_height in zip(cameras, rows, strict=True):
            x = left + (width - left - right - n * cell) / 2 + i * cell
            cell_ax = fig.add_axes(((x + 0.03 * cell) / width, (top - row_height) / height,
                                    0.94 * cell / width, row_height / height))  # fmt: skip
            cell_ax.imshow(images[camera], aspect="auto", interpolation="lanczos")
            cell_ax.set_xticks([])
            cell_ax.set_yticks([])
            cell_ax.spines[:].set_visible(False)
            if camera == cameras[0]:
                falls = frame == fall
                cell_ax.set_title(f"{frame / curve.fps:.1f} s{', reward falls' if falls else ''}", fontsize=10,
                                  pad=3, color=WARNING if falls else "#333333")  # fmt: skip
            if i == 0 and len(cameras) > 1:
                cell_ax.set_ylabel(camera_name(camera), fontsize=10, color="#333333")
            top -= row_height + 0.1
        moment = frame / curve.fps
        fig.add_artist(ConnectionPatch((0.5, 0), (moment, 1.04), "axes fraction", "data", axesA=cell_ax, axesB=ax,
                                       color="#aaaaaa", linewidth=1))  # fmt: skip
        ax.axvline(moment, color="#cccccc", linewidth=0.8, zorder=0)
        ax.plot(moment, curve.reward[frame], "o", color=PREDICTED, markersize=6, clip_on=False, zorder=5)
    fig.savefig(path)
    plt.close(fig)


def all_legend_entries(axes: Iterable[plt.Axes]) -> tuple[list[Any], list[str]]:
    """The legend of several plots, of which each has only some of the lines."""
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, name in zip(*legend_entries(ax), strict=True):
            entries.setdefault(name, handle)
    return list(entries.values()), list(entries)


def count_columns(n: int) -> int:
    """How many plots stand side by side: few cells stay blank, and four are preferred."""
    return min(n, min((3, 4, 5), key=lambda columns: (-n % columns, abs(columns - 4))))


def draw_overview(path: Path, title: str, episodes: Mapping[int, tuple[Curve, Caption, Verdict]]) -> None:
    """Draw the curves of all episodes in one image, without frames. The legend fills what stays blank of the grid.

    Args:
        path: the PNG file to write.
        title: of one or more lines.
        episodes: by their index.
    """
    columns = count_columns(len(episodes))
    lines = -(-len(episodes) // columns)
    blank = lines * columns - len(episodes)
    size = (max(3.4 * columns, 6.4), 2.3 * lines + (0.6 if blank else 1.1))
    fig = plt.figure(figsize=size, dpi=110, layout="constrained")
    grid = fig.add_gridspec(lines, columns)
    axes: list[plt.Axes] = []
    for i, (episode, (curve, caption, verdict)) in enumerate(episodes.items()):
        ax = fig.add_subplot(grid[i // columns, i % columns])
        plot_curve(ax, curve, linewidth=1.6)
        warned = verdict.is_wrong or caption.warning
        ax.set_title(f"episode {episode}: {caption.short_status()}{verdict.outcome or 'outcome not labelled'}\n"
                     f"{verdict.policy}", fontsize=9, color=WARNING if warned else "black")  # fmt: skip
        if i % columns:
            ax.tick_params(labelleft=False)
        if i + columns >= len(episodes):  # the lowest of its column
            ax.set_xlabel("seconds", fontsize=9)
        axes.append(ax)
    fig.supylabel("reward", fontsize=10)
    fig.suptitle(title, fontsize=11, weight="bold")
    handles, names = all_legend_entries(axes)
    if blank:
        rest = fig.add_subplot(grid[-1, columns - blank :])
        rest.set_axis_off()
        rest.legend(handles, names, ncols=min(blank, 2), frameon=False, loc="center", fontsize=10)
    else:
        per_line = 5 if columns > 2 else 3
        fig.legend(handles, names, ncols=per_line, frameon=False, loc="outside lower center", fontsize=10)
    fig.savefig(path)
    plt.close(fig)
