"""The metrics of the benchmark: what a reward is worth where the truth is known.

    from benchmarking.scores import Episode, score

    score([Episode(kind="success", reward=..., phase=..., done=..., fps=80), ...])

Plain numpy and no files. The stop rule and its calibration are the policy's own; but a reward without a filter may stop
an episode sooner here than a robot would, which waits for half the time of the quickest demonstration. A metric that is not defined,
for example because there are no failures, is None.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from shared.metrics import calibration_error, mae, spearman_with_time

from rewact.evaluation import auroc
from rewact.stopping import HOLD_S, StopRule, conformal_threshold, early_peak, hold_frames

SUCCESS = "success"


@dataclass
class Episode:
    """One held-out episode with what was predicted and what is true.

    Attributes:
        kind: "success" or a kind of failure.
        reward: (T,) predicted.
        phase: (T,) true progress in [0, 1].
        done: (T,) whether the task is solved in the frame.
        fps: frames per second.
        ok: (T,) whether the episode goes as successes go, None where nothing says so.
        after: rewards of the frames after the episode, in which the robot stays at its end. Only the stop rule sees them.
    """

    kind: str
    reward: np.ndarray
    phase: np.ndarray
    done: np.ndarray
    fps: float
    ok: np.ndarray | None = None
    after: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def completion(self) -> int:
        """The frame in which the task is solved for the first time."""
        return int(np.argmax(self.done))

    @property
    def hold(self) -> int:
        """The frames for which the reward has to stay at the threshold."""
        return hold_frames(HOLD_S, self.fps)

    def stop(self, threshold: float) -> int | None:
        """The frame at which the stop rule ends the episode, None if it never does."""
        if threshold > 1:
            return None
        rule = StopRule(threshold, self.hold)
        rewards = np.concatenate([self.reward, self.after])
        return next((frame for frame, reward in enumerate(rewards) if rule(reward)), None)


def score_stops(
    successes: Sequence[Episode], failures: Sequence[Episode], calibration: Sequence[Episode] = ()
) -> dict[str, float | None]:
    """How the stop rule does at a calibrated threshold.

    The threshold is calibrated on the successes of another day where `calibration` has some. Otherwise that for a
    success is calibrated on all other successes, and that for the failures on all of them. So no success is measured
    with a threshold that it has taken part in.
    """
    peaks = [
        early_peak(episode.reward, episode.completion, episode.hold) for episode in calibration or successes
    ]
    threshold = conformal_threshold(peaks)
    false = [episode.stop(threshold) is not None for episode in failures]
    early = missed = 0
    delays = []
    for i, episode in enumerate(successes):
        frame = episode.stop(threshold if calibration else conformal_threshold(peaks[:i] + peaks[i + 1 :]))
        if frame is None:
            missed += 1
        elif frame < episode.completion:
            early += 1
        else:
            delays.append((frame - episode.completion) / episode.fps)
    return {
        "stop_threshold": threshold,
        "false_stops": float(np.mean(false)) if false else None,
        "early_stops": early / len(successes),
        "missed_stops": missed / len(successes),
        "stop_delay_s": float(np.median(delays)) if delays else None,
    }


def score_alarms(episodes: Sequence[Episode]) -> dict[str, float | None]:
    """The share of episodes of each kind in which ok falls below 0.5, empty where nothing says so."""
    alarms: dict[str, list[bool]] = {}
    for episode in episodes:
        if episode.ok is not None:
            alarms.setdefault(f"alarms_{episode.kind}", []).append(bool((episode.ok < 0.5).any()))
    return {name: float(np.mean(raised)) for name, raised in alarms.items()}


def score(episodes: Sequence[Episode], calibration: Sequence[Episode] = ()) -> dict[str, float | None]:
    """Every metric of one task, one seed and one row. It takes at least two successes.

    Args:
        episodes: held-out.
        calibration: as in `score_stops`.
    """
    successes = [episode for episode in episodes if episode.kind == SUCCESS]
    failures = [episode for episode in episodes if episode.kind != SUCCESS]
    rank = [spearman_with_time(episode.reward) for episode in successes]
    metrics: dict[str, float | None] = {
        "n_success": len(successes),
        "n_failures": len(failures),
        "mae": float(np.mean([mae(episode.reward, episode.phase) for episode in successes])),
        "voc": float(np.mean([r for r in rank if r is not None]))
        if any(r is not None for r in rank)
        else None,
        "final_success": float(np.mean([episode.reward[-1] for episode in successes])),
    }
    for kind in sorted({episode.kind for episode in failures}):
        of_kind = [episode for episode in failures if episode.kind == kind]
        metrics[f"final_{kind}"] = float(np.mean([episode.reward[-1] for episode in of_kind]))
        for name, level in (("final", lambda reward: reward[-1]), ("max", np.max)):
            both = [*successes, *of_kind]
            metrics[f"auroc_{name}_{kind}"] = auroc(
                [level(episode.reward) for episode in both], [episode.kind == SUCCESS for episode in both]
            )
    metrics |= score_stops(successes, failures, calibration) | score_alarms(episodes)
    metrics["ece"] = (
        calibration_error(
            np.array([np.clip(episode.reward[-1], 0, 1) for episode in episodes]),
            np.array([float(episode.kind == SUCCESS) for episode in episodes]),
        )
        if failures
        else None
    )
    return metrics
