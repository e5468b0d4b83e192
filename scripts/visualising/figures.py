"""The images of a run: the curve of one episode with a few of its frames, and the curves of all episodes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.patches import ConnectionPatch
from shared.drawing import PREDICTED, WARNING, Curve, legend_entries, plot_curve, plt
from shared.metrics import format_metric

from visualising.caption import Caption, camera_name

N_THUMBNAILS = 6


def metrics_line(metrics: Mapping[str, float | None]) -> str:
    """The metrics of an episode as they stand over its image."""
    shown = {name: format_metric(value) for name, value in metrics.items()}
    mine = f"MAE {shown['mae']}   Spearman {shown['spearman']}   final {shown['final_reward']}"
    if metrics["clock_mae"] is None:
        return mine
    return f"{mine}      clock:  MAE {shown['clock_mae']}   Spearman {shown['clock_spearman']}"


def thumbnail_frames(length: int) -> list[int]:
    """The frames to show over the curve: the first, the last, and evenly spread ones between."""
    return sorted({round(i) for i in np.linspace(0, length - 1, N_THUMBNAILS)})


def draw_image(
    path: Path,
    caption: Caption,
    curve: Curve,
    metrics: Mapping[str, float | None],
    thumbnails: dict[int, dict[str, np.ndarray]],
) -> None:
    """Draw the whole curve of an episode with a few frames over it, each tied to its moment.

    Args:
        path: the PNG file to write.
        caption: what to write over it.
        curve: of the episode.
        metrics: of the episode, see `episode_metrics`.
        thumbnails: {frame index: {camera: (H, W, 3) uint8}}.
    """
    cameras = list(thumbnails[0])
    n = len(thumbnails)
    width, left, right = 12.0, 0.65, 0.25  # inches
    cell = (width - left - right) / max(n, 4)
    rows = [cell * 0.94 * thumbnails[0][c].shape[0] / thumbnails[0][c].shape[1] for c in cameras]
    head, tie, plot, foot = 1.05, 0.42, 2.7, 0.55 if curve.alarm is None else 0.85
    height = head + sum(rows) + 0.1 * len(rows) + tie + plot + foot
    fig = plt.figure(figsize=(width, height), dpi=110, facecolor="white")

    fig.text(left / width, 1 - 0.3 / height, caption.title, fontsize=15, weight="bold", va="center")
    fig.text(1 - right / width, 1 - 0.3 / height, caption.status, fontsize=12, va="center", ha="right",
             color=caption.colour, weight="bold" if caption.warning else "normal")  # fmt: skip
    fig.text(
        left / width, 1 - 0.64 / height, metrics_line(metrics), fontsize=11, va="center", color="#333333"
    )

    ax = fig.add_axes((left / width, foot / height, 1 - (left + right) / width, plot / height))
    plot_curve(ax, curve)
    ax.set_xlabel("seconds")
    ax.set_ylabel("reward")
    if curve.alarm is not None:
        fig.text(left / width, 0.18 / height, f"{curve.alarm / curve.fps:.1f} s  {curve.reason}", fontsize=11,
                 va="center", color=WARNING)  # fmt: skip
    # Outside the axes, because a curve may pass through any corner inside; beside the reason where there is one more line.
    legend_y = 1 - 0.64 / height if curve.alarm is None else 0.18 / height
    fig.legend(*legend_entries(ax), ncols=5, frameon=False, fontsize=11,
               loc="center right", bbox_to_anchor=(1 - 0.1 / width, legend_y))  # fmt: skip

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
                cell_ax.set_title(f"{frame / curve.fps:.1f} s", fontsize=10, pad=3, color="#333333")
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


def widest_legend(axes: Iterable[Any]) -> tuple[list[Any], list[str]]:
    """The legend of the axes that hold most lines: only some episodes have an alarm."""
    return max((legend_entries(ax) for ax in axes if ax.get_visible()), key=lambda entries: len(entries[1]))


def draw_overview(path: Path, title: str, episodes: Mapping[int, tuple[Curve, Caption]]) -> None:
    """Draw the curves of all episodes in one image, without frames."""
    columns = min(4, len(episodes))
    lines = -(-len(episodes) // columns)
    fig, axes = plt.subplots(lines, columns, figsize=(max(3.1 * columns, 6.4), 2.3 * lines + 1.1), dpi=110,
                             sharey=True, squeeze=False, layout="constrained")  # fmt: skip
    for ax in axes.flat[len(episodes) :]:
        ax.set_visible(False)
    for ax, (episode, (curve, caption)) in zip(axes.flat, episodes.items(), strict=False):
        plot_curve(ax, curve, linewidth=1.6)
        warning = f"  ({caption.warning})" if caption.warning else ""
        ax.set_title(f"episode {episode}{warning}", fontsize=10, color=WARNING if warning else "black")
    for column in range(columns):  # under the lowest plot of each column
        [ax for ax in axes[:, column] if ax.get_visible()][-1].set_xlabel("seconds", fontsize=9)
    fig.supylabel("reward", fontsize=10)
    fig.suptitle(title, fontsize=12, weight="bold")
    fig.legend(*widest_legend(axes.flat), ncols=5, frameon=False, loc="outside lower center", fontsize=10)
    fig.savefig(path)
    plt.close(fig)
