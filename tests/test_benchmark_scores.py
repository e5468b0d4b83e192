"""The metrics of the benchmark, on curves whose metrics are known."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarking.scores import SUCCESS, Episode, score
from shared.metrics import calibration_error

from rewact.evaluation import auroc

FPS = 4  # the stop rule then holds for two frames


def episode(kind: str, reward, done_at: int | None = None) -> Episode:
    reward = np.asarray(reward, dtype=float)
    frames = np.arange(len(reward))
    done = np.zeros(len(reward), bool) if done_at is None else frames >= done_at
    phase = np.minimum(frames / (done_at or len(reward)), 1)
    return Episode(kind=kind, reward=reward, phase=phase, done=done, fps=FPS)


def ramp(length: int, done_at: int, top: float = 1.0) -> np.ndarray:
    return np.minimum(np.arange(length) / done_at, 1) * top


def test_auroc():
    assert auroc([0.9, 0.8, 0.1, 0.2], [True, True, False, False]) == 1
    assert auroc([0.1, 0.9], [True, False]) == 0
    assert auroc([0.5, 0.5, 0.5], [True, True, False]) == 0.5
    assert auroc([0.9, 0.3, 0.5], [True, True, False]) == 0.5
    assert auroc([0.5], [False]) is None and auroc([0.5], [True]) is None


def test_calibration_error():
    assert calibration_error(np.array([0.0, 1.0]), np.array([0, 1])) == 0
    assert calibration_error(np.array([1.0, 1.0]), np.array([0, 1])) == 0.5
    assert calibration_error(np.full(4, 0.75), np.array([1, 1, 1, 0])) == 0


def test_score_of_a_reward_that_knows():
    successes = [episode(SUCCESS, ramp(60, done_at), done_at) for done_at in (40, 30, 40, 30)]
    failures = [episode("stall", ramp(60, 40, top=0.5)), episode("ghost", np.zeros(60))]
    metrics = score(successes + failures)
    assert metrics["mae"] == pytest.approx(0, abs=1e-9)
    assert metrics["auroc_final_stall"] == metrics["auroc_max_ghost"] == 1
    assert metrics["false_stops"] == metrics["early_stops"] == metrics["missed_stops"] == 0
    assert metrics["stop_delay_s"] == 0  # calibrated to the frame before it is done, and two frames long
    assert metrics["ece"] == pytest.approx(0.5 / 6)


def test_score_of_a_reward_that_is_fooled():
    successes = [episode(SUCCESS, ramp(60, done_at), done_at) for done_at in (30, 35, 40, 45)]
    metrics = score(successes + [episode("ghost", ramp(60, 30))] * 4)
    assert metrics["auroc_final_ghost"] == 0.5
    assert metrics["false_stops"] == 1


def test_another_day_is_measured_with_the_threshold_of_the_first():
    """Its own successes reach 0.8 early, and would ask for more."""
    usual = [episode(SUCCESS, ramp(60, 40), 40) for _ in range(10)]
    late = [episode(SUCCESS, np.minimum(ramp(60, 20), 0.8), 40) for _ in range(10)]
    assert score(late, usual)["stop_threshold"] == score(usual)["stop_threshold"] > 0.9
    assert score(late, usual)["missed_stops"] == 1
    assert score(late)["stop_threshold"] == pytest.approx(0.8)


def test_a_stop_while_the_robot_stays_at_its_end_is_late_and_not_missed():
    usual = [episode(SUCCESS, ramp(60, 40), 40) for _ in range(10)]
    slow = [episode(SUCCESS, ramp(42, 45), 40) for _ in range(10)]
    assert score(slow, usual)["missed_stops"] == 1
    resting = [replace(each, after=np.ones(4)) for each in slow]
    metrics = score(resting, usual)
    assert metrics["missed_stops"] == metrics["early_stops"] == 0
    assert metrics["stop_delay_s"] == 3 / FPS
    for name in ("mae", "final_success"):  # of the episode alone
        assert metrics[name] == score(slow, usual)[name]


def test_alarms_are_counted_by_kind():
    fine, alarmed = np.ones(60), np.where(np.arange(60) < 30, 1, 0.4)
    successes = [replace(episode(SUCCESS, ramp(60, 40), 40), ok=ok) for ok in (fine, alarmed, fine, fine)]
    failures = [replace(episode("ghost", ramp(60, 40)), ok=alarmed)]
    metrics = score(successes + failures)
    assert metrics["alarms_success"] == 0.25 and metrics["alarms_ghost"] == 1
    assert "alarms_success" not in score([episode(SUCCESS, ramp(60, 30), 30)] * 2)


def test_score_without_failures_says_so():
    metrics = score([episode(SUCCESS, ramp(60, 30), 30)] * 2)
    assert metrics["false_stops"] is None and metrics["ece"] is None
    assert not any(name.startswith("auroc") for name in metrics)


def test_no_success_has_a_part_in_its_own_threshold():
    """The one that stays high for long before it is done is stopped early, and does not spoil the others' threshold."""
    late = np.concatenate([ramp(20, 19), np.ones(40)])
    successes = [episode(SUCCESS, ramp(60, 40), 40) for _ in range(19)] + [episode(SUCCESS, late, 50)]
    metrics = score(successes)
    assert metrics["early_stops"] == 1 / 20
    assert metrics["missed_stops"] == 0
