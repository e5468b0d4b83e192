"""scripts/benchmarking/: what it predicts is what the policy says, one observation after the other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarking import heads
from benchmarking.actions import action_error, step_times
from benchmarking.curves import latent_gap, predict
from benchmarking.newer_head import BINS, NewerHead, newer_head
from benchmarking.recordings import read_episodes
from shared.checkpoint import load_policy
from shared.predict import observe
from tiny_run import LENGTHS

from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.policies import get_policy_class
from rewact.evidence.source import Demonstrations


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A dataset with one camera, and a policy for it that has learned nothing but the states of its demonstrations."""
    from tiny_run import TINY_POLICY, make_data_set

    from lerobot.configs.default import DatasetConfig
    from lerobot.policies import make_policy, make_policy_config, make_pre_post_processors
    from rewact.calibration import calibrate_evidence, calibrate_reward
    from rewact.labels import ProgressLabels

    root = make_data_set(tmp_path_factory.mktemp("data") / "one", LENGTHS, {"observation.image": (64, 64, 3)})
    dataset = LeRobotDataset("local/one", root=root, video_backend="pyav")
    dataset.reward_labels = ProgressLabels(
        LENGTHS, DatasetConfig.reward_start_pct, DatasetConfig.reward_end_pct
    )
    policy = make_policy(make_policy_config("rewact", **TINY_POLICY), ds_meta=dataset.meta)
    preprocessor, postprocessor = make_pre_post_processors(policy.config, dataset_stats=dataset.meta.stats)
    calibrate_reward(policy, dataset)
    calibrate_evidence(policy, preprocessor, dataset)
    folder = tmp_path_factory.mktemp("policy")
    for part in (policy, preprocessor, postprocessor):
        part.save_pretrained(folder)
    return root, folder


def test_the_frames_are_those_of_the_dataset(small):
    root, _ = small
    dataset = LeRobotDataset("local/one", root=root, video_backend="pyav", return_uint8=True)
    (episode,) = read_episodes(root, [2])
    first = LENGTHS[0] + LENGTHS[1]
    for t in (0, LENGTHS[2] - 1):
        item = dataset[first + t]
        torch.testing.assert_close(episode.images["observation.image"][t], item["observation.image"])
        torch.testing.assert_close(episode.state[t], item["observation.state"])
        torch.testing.assert_close(episode.action[t], item["action"])
    assert len(episode.images["observation.image"]) == len(episode.state) == LENGTHS[2]


def test_rewards_of_all_episodes_at_once_are_those_of_select_action(small):
    root, folder = small
    policy, preprocessor, _ = load_policy(folder)
    episodes = list(read_episodes(root))
    rows = predict(policy, preprocessor, episodes)
    for index, frames in enumerate(episodes):
        policy.reset()
        expected = [
            policy.select_action(observe(preprocessor, frames.inputs(slice(t, t + 1))))[1].item()
            for t in range(LENGTHS[index])
        ]
        np.testing.assert_allclose(rows["ours"][index], expected, atol=1e-4)
    assert [len(curve) for curve in rows["ours, one frame alone"]] == LENGTHS


def test_evidence_is_the_same_live_as_from_the_recording(small, monkeypatch):
    """Where the policy gives the actions that were recorded."""
    root, folder = small
    policy, preprocessor, _ = load_policy(folder)
    head = policy.model.reward_head
    episodes = list(read_episodes(root))
    for frames in episodes:  # the recorded actions are noise: now they tell a gripper
        frames.action[:, 1] = frames.state[:, 1] + 0.5
    stats = [
        observe(preprocessor, {"observation.state": frames.state, "action": frames.action})
        for frames in episodes
    ]
    state, action = (torch.cat([part[key] for part in stats]) for key in ("observation.state", "action"))
    index = torch.arange(len(LENGTHS)).repeat_interleave(torch.tensor(LENGTHS))
    names = ["joint", "gripper"]
    monkeypatch.setattr("rewact.evidence.verdict.FEWEST", 2)
    head.verdict.fit(Demonstrations(state, 10 * state, names, action, 3 * action, names, index, 10))
    assert head.verdict.fitted and head.verdict.sources[0].commanded
    head.verdict.level.div_(20)  # so strict that ok is lower than 1 somewhere
    rows = predict(policy, preprocessor, episodes)
    for number, frames in enumerate(episodes):
        policy.reset()
        told = stats[number]["action"]
        for t in range(LENGTHS[number]):
            batch = observe(preprocessor, frames.inputs(slice(t, t + 1)))
            policy._action_queue.clear()
            policy._action_queue.append(told[t, None])
            reward = policy.select_action(batch)[1].item()
            assert reward == pytest.approx(rows["ours"][number][t], abs=1e-4)
            assert policy.reward_details()["ok"].item() == pytest.approx(rows["ok"][number][t], abs=1e-4)
    assert min(ok.min() for ok in rows["ok"]) < 1


def test_a_resting_robot_is_watched_as_it_is(small):
    root, folder = small
    policy, preprocessor, _ = load_policy(folder)
    (frames,) = read_episodes(root, [0])
    length = LENGTHS[0]
    resting = predict(policy, preprocessor, [frames.resting(5)])
    for row, (curve,) in predict(policy, preprocessor, [frames]).items():
        assert len(resting[row][0]) == length + 5
        np.testing.assert_allclose(resting[row][0][:length], curve, atol=1e-6)
    alone = resting["ours, one frame alone"][0]
    np.testing.assert_allclose(alone[length:], alone[length - 1], atol=1e-6)


def test_heads_are_compared_on_what_the_policy_reads(small):
    root, folder = small
    policy, preprocessor, _ = load_policy(folder)
    (frames,) = read_episodes(root, [1])
    tokens, position = heads.read(policy, preprocessor, frames)
    head = heads.ObservationHead(policy.config, position).eval()
    head.load_state_dict(policy.model.reward_head.state_dict())
    with torch.no_grad():
        rewards = head.value(head.logits(tokens, torch.arange(len(tokens.frames)))).numpy()
    alone = predict(policy, preprocessor, [frames])["ours, one frame alone"][0]
    np.testing.assert_allclose(rewards, alone[tokens.frames], atol=1e-5)


def test_heads_are_followed_as_the_policy_follows_its_own(small, monkeypatch):
    root, folder = small
    policy, preprocessor, _ = load_policy(folder)
    monkeypatch.setattr(heads, "EVERY", 1)
    (frames,) = read_episodes(root, [1])
    tokens, position = heads.read(policy, preprocessor, frames)
    head = heads.ObservationHead(policy.config, position).eval()
    head.load_state_dict(policy.model.reward_head.state_dict())
    with torch.no_grad():
        rewards = heads.follow(head, head.logits(tokens, torch.arange(len(tokens.frames))), tokens)
    expected = predict(policy, preprocessor, [frames])["ours, without evidence"][0]
    np.testing.assert_allclose(rewards, expected, atol=1e-5)


def test_action_error_is_that_of_the_actions(small, monkeypatch):
    root, folder = small
    policy, preprocessor, postprocessor = load_policy(folder)
    episodes = list(read_episodes(root, [0]))
    monkeypatch.setattr("benchmarking.actions.ACTION_EVERY", 100)  # the first frame alone
    chunk = policy.predict_action_chunk(observe(preprocessor, episodes[0].inputs(slice(1))))
    actual = episodes[0].action[: policy.config.chunk_size]
    expected = (postprocessor(chunk)[0, : len(actual)] - actual).abs().mean().item()
    assert action_error(policy, preprocessor, postprocessor, episodes) == pytest.approx(expected, rel=1e-5)


def test_every_policy_is_timed(small, monkeypatch):
    root, folder = small
    monkeypatch.setattr("benchmarking.actions.TIMED_STEPS", 3)
    times = step_times({"one": load_policy(folder), "other": load_policy(folder)}, next(read_episodes(root)))
    assert set(times) == {"one", "other"} and min(times.values()) > 0


def test_the_latent_reaches_the_head_on_the_decoder_and_not_ours(small):
    root, folder = small
    policy, preprocessor, _ = load_policy(folder)
    episodes = [(frames, np.linspace(0, 1, len(frames.state))) for frames in read_episodes(root)]
    ours = latent_gap(policy, preprocessor, episodes)
    assert ours["mae_with_latent"] == ours["mae_without_latent"] > 0
    assert not policy.model.training

    config = replace(policy.config, reward_head="decoder")
    torch.manual_seed(0)
    original = get_policy_class(config.type)(config).eval()
    gap = latent_gap(original, preprocessor, episodes)
    assert gap["mae_with_latent"] != gap["mae_without_latent"]


def test_the_newer_head_stands_in_for_the_original_s(small):
    """It learns the label's bin, without the state in half of the samples, and is loaded again."""
    from tiny_run import TINY_POLICY

    from lerobot.policies import make_policy, make_policy_config

    root, _ = small
    meta = LeRobotDataset("local/one", root=root, video_backend="pyav").meta
    with newer_head():
        config = make_policy_config("rewact", **TINY_POLICY, reward_head="decoder")
        policy = make_policy(config, ds_meta=meta)
    head = policy.model.reward_head
    assert isinstance(head, NewerHead)
    logits = torch.full((3, BINS), -30.0)
    logits[torch.arange(3), torch.tensor([0, 50, BINS - 1])] = 30.0
    labels = torch.tensor([0.0, 50 / (BINS - 1), 1.0])
    torch.testing.assert_close(head.value(logits), labels)
    assert head.loss(logits, labels).max() < 1e-3 < head.loss(logits, labels.flip(0))[0]

    states = []
    policy.model.encoder_robot_state_input_proj.register_forward_pre_hook(
        lambda _, args: states.append(args[0])
    )
    batch = {
        "observation.image": torch.zeros(200, 3, 32, 32),
        "observation.images": [torch.zeros(200, 3, 32, 32)],
        "observation.state": torch.ones(200, 2),
        "action": torch.zeros(200, 8, 2),
        "action_is_pad": torch.zeros(200, 8, dtype=torch.bool),
    }
    for training in (True, False):
        policy.train(training)
        with torch.no_grad():
            policy.model(batch)
    assert 50 < (states[0] == 0).all(dim=1).sum() < 150 and (states[1] == 1).all()
    assert not isinstance(load_policy(small[1])[0].model.reward_head, NewerHead)
