"""scripts/shared/predict.py: the rewards do not depend on how the frames are read."""

import numpy as np
import pytest
import torch
from shared import predict
from shared.frames import rows_of_episode
from shared.predict import follow_nothing, load_with_dataset, predict_episode, predict_frames
from tiny_run import LENGTHS


def test_the_batch_size_changes_no_reward(checkpoint, meta, data_set):
    loaded = load_with_dataset(checkpoint, meta, data_set, [1, 2], "cpu")
    rows = rows_of_episode(loaded.dataset, 2)
    assert [loaded.dataset[row]["frame_index"].item() for row in rows] == list(range(LENGTHS[2]))
    assert {loaded.dataset[row]["episode_index"].item() for row in rows} == {2}

    def rewards(batch_size: int, dtype: torch.dtype = torch.float32) -> list[tuple[float, float]]:
        return [(frame.reward, frame.alone) for frame in predict_frames(loaded, 2, batch_size, dtype)]

    np.testing.assert_allclose(rewards(3), rewards(1), atol=1e-5)
    np.testing.assert_allclose(rewards(32), rewards(1), atol=1e-5)
    np.testing.assert_allclose(rewards(32, torch.bfloat16), rewards(1), atol=0.05)
    np.testing.assert_array_equal(predict_episode(loaded, 2, 3), [reward for reward, _ in rewards(3)])


def test_the_command_before_a_frame_is_the_action_of_the_frame_before(
    checkpoint, meta, data_set, monkeypatch
):
    loaded = load_with_dataset(checkpoint, meta, data_set, [1, 2], "cpu")
    seen, follow = [], predict.follow
    monkeypatch.setattr(
        predict, "follow", lambda policy, parts: (seen.extend(parts), follow(policy, parts))[1]
    )
    list(predict_frames(loaded, 2, batch_size=3))
    command = predict.join(seen).command  # (T, 2)
    assert command[0].isnan().all()
    mean, std = (torch.as_tensor(meta.stats["action"][key], dtype=torch.float32) for key in ("mean", "std"))
    actions = [loaded.dataset[row]["action"] for row in rows_of_episode(loaded.dataset, 2)]
    torch.testing.assert_close(command[1:] * std + mean, torch.stack(actions[:-1]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("needed", [True, False])
def test_a_dataset_without_the_policys_actions_says_that_nothing_notices_a_failure(
    checkpoint, meta, data_set, monkeypatch, capsys, needed
):
    monkeypatch.setattr(predict, "needs_commands", lambda policy: needed)
    load_with_dataset(checkpoint, meta, data_set, [1], "cpu")
    assert capsys.readouterr().err == ""
    monkeypatch.setitem(meta.features["action"], "shape", (5,))
    load_with_dataset(checkpoint, meta, data_set, [1], "cpu")
    assert ("no failure is noticed" in capsys.readouterr().err) == needed


def test_the_filter_alone_follows_the_pace_of_the_demonstrations(checkpoint, meta, data_set):
    policy = load_with_dataset(checkpoint, meta, data_set, [1], "cpu").policy
    blind = follow_nothing(policy, 2 * max(LENGTHS))
    assert blind.shape == (2 * max(LENGTHS),)
    assert blind[0] < 0.1 and blind[-1] > 0.5 and (np.diff(blind[: max(LENGTHS) // 2]) > 0).all()
    policy.config.reward_filter = False
    assert follow_nothing(policy, 5) is None


def test_a_head_that_has_learned_nothing_but_the_labels_is_as_good_as_the_filter_alone(
    checkpoint, meta, data_set
):
    """Whatever it sees, it says how often the demonstrations have each progress."""
    loaded = load_with_dataset(checkpoint, meta, data_set, [2], "cpu")
    head = loaded.policy.model.reward_head
    with torch.no_grad():
        head.mlp[-1].weight.zero_()
        head.mlp[-1].bias.copy_(head.filter.prior.log())
    rewards = predict_episode(loaded, 2)
    # not quite: the filter leaves every progress a small probability, whatever the head says
    np.testing.assert_allclose(rewards, follow_nothing(loaded.policy, LENGTHS[2]), atol=0.03)


def test_nothing_but_drawing_needs_matplotlib():
    """Commands that draw nothing start without it."""
    import subprocess
    import sys
    from pathlib import Path

    scripts = Path(__file__).parents[1] / "scripts"
    code = "import sys, shared.run; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=scripts, check=True)
