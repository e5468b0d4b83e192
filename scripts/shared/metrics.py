"""How good a predicted reward curve is, in numbers that can be compared between runs.

    from shared.metrics import clock, episode_metrics, summarise

    baseline = clock(len(reward), mean_train_length)
    rows = [episode_metrics(reward, label, baseline) for each episode]
    print(summarise(rows))

Everything here is plain numpy and scipy: no LeRobot, no torch, no files.

Always compare with the clock. On demonstrations of similar length the clock, which has never seen an image,
is nearly right; a reward that does not beat it has learned to count frames.

A metric that is not defined, such as the rank correlation of a constant, is None, which JSON writes as null. It is
never 0.0 or NaN; leave it out of a mean.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

# The columns of an episode's row, in the order in which they are shown.
METRICS = ("mae", "spearman", "final_reward", "clock_mae", "clock_spearman", "clock_final")
# The figures of one frame alone, and of the filter to which nothing is shown.
PARTS = ("alone_mae", "alone_spearman", "blind_mae", "blind_spearman")


def _curve(values: Sequence[float] | np.ndarray, name: str) -> np.ndarray:
    """One episode's curve as float64 (T,), refusing what would make a metric silently wrong."""
    curve = np.asarray(values, dtype=np.float64)
    if curve.ndim != 1 or curve.size == 0:
        raise ValueError(f"{name} must be a curve of shape (T,) with T >= 1, got shape {curve.shape}.")
    if not np.isfinite(curve).all():
        raise ValueError(f"{name} holds {np.count_nonzero(~np.isfinite(curve))} values that are not finite.")
    return curve


def mae(prediction: np.ndarray, label: np.ndarray) -> float:
    """Mean absolute error of prediction (T,) against label (T,)."""
    prediction, label = _curve(prediction, "prediction"), _curve(label, "label")
    if prediction.shape != label.shape:
        raise ValueError(f"prediction has shape {prediction.shape}, label has shape {label.shape}.")
    return float(np.abs(prediction - label).mean())


def spearman(x: np.ndarray, y: np.ndarray) -> float | None:
    """Spearman's rank correlation of x (T,) and y (T,), ties sharing their mean rank.

    None where it is not defined: fewer than two points, or a curve that never changes.
    """
    x, y = _curve(x, "x"), _curve(y, "y")
    if x.shape != y.shape:
        raise ValueError(f"x has shape {x.shape}, y has shape {y.shape}.")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def spearman_with_time(curve: np.ndarray) -> float | None:
    """Spearman's correlation of curve (T,) with its frame index: 1.0 means that it never goes back."""
    return spearman(np.arange(len(curve)), curve)


def clock(length: int, mean_train_length: float) -> np.ndarray:
    """The baseline (length,): frame_index / (mean_train_length - 1), at most 1.

    It is the reward of a policy that only counts frames and knows how long a demonstration takes on average.
    """
    frame_index = np.arange(length, dtype=np.float64)
    # Training episodes of one frame: the task is over before the second frame.
    last = max(mean_train_length - 1, float(np.finfo(np.float64).tiny))
    with np.errstate(over="ignore"):
        return np.minimum(frame_index / last, 1.0)


def format_metric(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def episode_metrics(
    reward: np.ndarray,
    label: np.ndarray,
    clock: np.ndarray | None = None,
    alone: np.ndarray | None = None,
    blind: np.ndarray | None = None,
) -> dict[str, float | None]:
    """The metrics of one episode, one for each name in METRICS and PARTS.

    Args:
        reward: (T,) the predicted reward of every frame.
        label: (T,) the reward it was to predict. With NaN, where nobody knows it, there is no error to speak of.
        clock: (T,) the baseline, or None where the training lengths are not known.
        alone: (T,) the reward of each frame alone.
        blind: (T,) the reward where nothing is observed, None without a filter.
    """
    reward = _curve(reward, "reward")

    def error(prediction: np.ndarray | None) -> float | None:
        return None if prediction is None or np.isnan(label).any() else mae(prediction, label)

    def correlation(prediction: np.ndarray | None) -> float | None:
        return None if prediction is None else spearman_with_time(prediction)

    return {
        "mae": error(reward),
        "spearman": spearman_with_time(reward),
        "final_reward": float(reward[-1]),
        "clock_mae": error(clock),
        "clock_spearman": correlation(clock),
        "clock_final": None if clock is None else float(clock[-1]),
        "alone_mae": error(alone),
        "alone_spearman": correlation(alone),
        "blind_mae": error(blind),
        "blind_spearman": correlation(blind),
    }


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The mean of each metric over episodes: every episode weighs the same, whatever its length.

    An episode in which a metric is not defined is left out of that metric's mean only.
    """
    means: dict[str, float | None] = {}
    for name in (*METRICS, *PARTS):
        defined = [row[name] for row in rows if row[name] is not None]
        means[name] = float(np.mean(defined)) if defined else None
    return means


def calibration_error(confidence: np.ndarray, outcome: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error of probabilities (Naeini et al. 2015), with bins of equal width.

    Args:
        confidence: (T,) predicted probabilities in [0, 1].
        outcome: (T,) what happened, 0 or 1.
    """
    confidence, outcome = _curve(confidence, "confidence"), _curve(outcome, "outcome")
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(which, minlength=bins)
    gap = np.abs(np.bincount(which, confidence, bins) - np.bincount(which, outcome, bins))
    return float(gap[counts > 0].sum() / len(confidence))
