"""The figures of scripts/reward_metrics.py, against values worked out by hand and against scipy."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from shared.metrics import (
    METRICS,
    PARTS,
    clock,
    episode_metrics,
    mae,
    spearman,
    spearman_with_time,
    summarise,
)
from visualising.report import parts_lines


def test_mae_of_known_curves():
    assert mae([0.0, 0.5, 1.0], [0.0, 0.5, 1.0]) == 0.0
    assert mae([0.0, 0.5, 1.0], [0.3, 0.5, 0.4]) == pytest.approx(0.3)
    assert mae(np.float32([0.25]), np.float32([1.0])) == 0.75


def test_spearman_asks_for_the_order_only():
    assert spearman_with_time([0.0, 0.1, 0.2, 0.9]) == pytest.approx(1.0)
    assert spearman_with_time([0.9, 0.5, 0.4, 0.0]) == pytest.approx(-1.0)
    assert spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(0.8)  # 1 - 6 * 4 / (5 * 24)


def test_spearman_with_ties_is_scipys():
    rng = np.random.default_rng(0)
    curve = rng.integers(0, 6, 50) / 5
    assert spearman_with_time(curve) == pytest.approx(spearmanr(np.arange(50), curve).statistic)


@pytest.mark.parametrize("curve", [[0.3], [0.3, 0.3, 0.3]])
def test_spearman_is_none_where_it_is_not_defined(curve):
    assert spearman_with_time(curve) is None


def test_clock_counts_frames_up_to_the_mean_training_length():
    np.testing.assert_allclose(clock(7, 5), [0, 0.25, 0.5, 0.75, 1, 1, 1])
    np.testing.assert_allclose(clock(3, 5.5), [0, 1 / 4.5, 2 / 4.5])
    np.testing.assert_array_equal(clock(1, 5), [0])


def test_clock_of_one_frame_training_episodes_is_a_step():
    np.testing.assert_array_equal(clock(3, 1), [0, 1, 1])


def test_episode_metrics():
    label = np.linspace(0, 1, 5)
    row = episode_metrics(label / 2, label, clock(5, 9))
    assert tuple(row) == METRICS + PARTS
    assert row["alone_mae"] is None and row["blind_mae"] is None
    assert row["mae"] == pytest.approx(0.25)
    assert row["spearman"] == pytest.approx(1.0)
    assert row["final_reward"] == 0.5
    assert row["clock_mae"] == pytest.approx(0.25)
    assert row["clock_spearman"] == pytest.approx(1.0)
    assert row["clock_final"] == 0.5


def test_the_parts_of_a_reward_have_errors_of_their_own():
    label = np.linspace(0, 1, 5)
    row = episode_metrics(label, label, alone=label / 2, blind=np.zeros(5))
    assert row["alone_mae"] == pytest.approx(0.25) and row["blind_mae"] == pytest.approx(0.5)
    assert row["alone_spearman"] == pytest.approx(1.0) and row["blind_spearman"] is None


def row_of(mae, blind, alarm=None):
    """Of an episode for which only the errors are known."""
    names = dict.fromkeys((*METRICS, *PARTS))
    return names | {"mae": mae, "alone_mae": 0.2, "alone_spearman": 0.9, "blind_mae": blind, "alarm": alarm}


@pytest.mark.parametrize("blind, warned", [(0.1, False), (0.05, True), (0.04, True), (None, False)])
def test_observations_that_add_little_are_said_to(blind, warned):
    lines = parts_lines([row_of(0.05, blind)])
    assert lines[0] == "one frame alone: MAE 0.200, Spearman 0.900"
    assert any("add little" in line for line in lines) == warned
    assert any("is better (0.040; the policy: 0.050)" in line for line in lines) == (warned and blind < 0.05)
    assert any("to which nothing is shown" in line for line in lines) == (blind is not None)


def test_an_alarm_says_nothing_about_the_observations_of_other_episodes():
    """The reward of a failure is to differ from the label, that of the others is not."""
    failed = row_of(0.4, 0.1, {"seconds": 1.0, "reason": "gripper 0"})
    assert not any("add little" in line for line in parts_lines([failed]))
    assert not any("add little" in line for line in parts_lines([failed, row_of(0.05, 0.1)]))
    assert any("(0.100; the policy: 0.090)" in line for line in parts_lines([failed, row_of(0.09, 0.1)]))


def test_episode_metrics_without_a_clock():
    row = episode_metrics([0.1, 0.2], [0.0, 1.0])
    assert row["clock_mae"] is None and row["clock_spearman"] is None and row["clock_final"] is None


def test_an_episode_of_one_frame_has_figures():
    row = episode_metrics([0.4], [0.0], clock(1, 10))
    assert row["mae"] == pytest.approx(0.4)
    assert row["spearman"] is None and row["clock_spearman"] is None


def test_summarise_weighs_episodes_alike_and_leaves_out_what_is_not_defined():
    flat = episode_metrics(np.full(100, 0.5), np.full(100, 1.0))
    rising = episode_metrics([0.0, 1.0], [0.0, 1.0])
    means = summarise([flat, rising])
    assert means["mae"] == pytest.approx(0.25)
    assert means["spearman"] == pytest.approx(1.0)
    assert means["clock_mae"] is None
    assert summarise([flat])["spearman"] is None


@pytest.mark.parametrize("curve", [[], [[0.1, 0.2]], [0.1, float("nan")], [float("inf"), 0.0]])
def test_what_is_no_curve_is_refused(curve):
    with pytest.raises(ValueError, match="reward"):
        episode_metrics(curve, np.zeros(2))


def test_curves_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\).*\(1,\)"):
        mae([0.1, 0.2, 0.3], [0.5])
