"""The benchmark's episodes, played in the real simulator: their truth, their failures, their images."""

import json
import sys
from dataclasses import replace

import benchmark_data
import numpy as np
import pytest
from lerobot_robot_so101_sim.days import DAYS, SAME
from simulation import benchmark_episodes, dataset as simulation_dataset
from simulation.benchmark_data import load_cr5_truth, load_truth, make_task
from simulation.benchmark_episodes import TRUTHS, is_as_planned, make_recipe
from simulation.benchmark_motions import plan_motion, rehearse_plan
from simulation.benchmark_plans import FAILURE_KINDS, BenchmarkPlan, draw_plan as draw_any_plan
from simulation.benchmark_scenes import CYCLE, FIXTURES, make_simulator, place
from simulation.environment import FPS, check_simulator, make_env, make_frame
from simulation.generator import make_episode

DRAWER, PICK_PLACE, SIZE = "drawer-open-v3", "pick-place-v3", 16

pytestmark = pytest.mark.usefixtures("mujoco_gl")


def draw_plan(task: str, kind: str = "success", **changes) -> BenchmarkPlan:
    """A plan at the rehearsal's own speed and without stalls, except for `changes`."""
    plan = draw_any_plan(task, kind, 0, np.random.default_rng(0), SAME)
    return replace(plan, **{"speed": 0.5, "factors": (1.0,), "changes": (), "stalls": (), **changes})


def play(plan: BenchmarkPlan, draw: bool = False):
    """Frames, motion and truth as arrays."""
    env = make_simulator(plan.task, SIZE)
    motion = plan_motion(env, plan)
    frames, truth = benchmark_episodes.play_motion(env, plan, motion, draw)
    assert (not draw) or len(frames) == len(motion.phase)
    return frames, motion, {name: np.array(values) for name, values in truth.items()}


def test_the_phase_rests_in_a_stall_and_is_one_at_the_success():
    _, motion, truth = play(draw_plan(DRAWER, stalls=((0.5, 1.0),)))
    phase, steps = truth["phase"], np.diff(truth["phase"])
    resting = (steps == 0) & (phase[:-1] < 1)
    assert resting.sum() == FPS
    assert phase[:-1][resting] == pytest.approx(0.5, abs=0.01)
    moving = steps[steps > 0]
    assert np.ptp(moving) < 1e-9  # it moves evenly apart from the stall
    first = np.argmax(truth["success"])
    assert phase[first] > 0.97
    assert truth["success"][first:].all()
    assert not truth["success"][:first].any()
    assert phase[-FPS:].tolist() == [1.0] * FPS
    assert is_as_planned(draw_plan(DRAWER), motion, truth)


@pytest.mark.parametrize("task", [DRAWER, CYCLE])
def test_twice_the_speed_takes_half_the_time(task):
    slow, fast = (play(draw_plan(task, factors=(factor,))) for factor in (1.0, 2.0))
    frames = [np.argmax(truth["phase"] == 1) for _, _, truth in (slow, fast)]
    assert frames[0] / frames[1] == pytest.approx(2, abs=0.02)
    assert np.abs(fast[1].actions()).max() <= 1
    for _, motion, truth in (slow, fast):
        assert is_as_planned(draw_plan(task), motion, truth)


def test_a_demonstration_is_the_rehearsal_itself():
    plan = draw_plan(DRAWER, "train", hold=0.2)
    env = make_simulator(DRAWER, SIZE)
    rehearsal = rehearse_plan(env, plan, plan.seed)
    _, motion, truth = play(plan)
    steps = len(rehearsal.actions)
    assert np.argmax(truth["success"]) == steps
    np.testing.assert_allclose(motion.path[: steps + 1], rehearsal.hand / env._env.action_scale)
    assert len(truth["phase"]) == steps + 1 + round(0.2 * FPS)
    np.testing.assert_allclose(truth["object_travel"][: steps + 1], rehearsal.travel, atol=1e-4)


def test_the_cycle_ends_as_it_began():
    frames, _, truth = play(draw_plan(CYCLE), draw=True)
    assert truth["success"][-1]
    assert truth["object_travel"].max() > 0.15
    assert truth["object_travel"][-1] < 0.01
    first, last = frames[0]["observation.state"], frames[-1]["observation.state"]
    assert np.abs(first - last)[:3].max() < 0.012
    assert first[3] == pytest.approx(last[3], abs=0.02)  # the gripper is open again
    middle = frames[np.argmax(truth["object_travel"])]["observation.image"].astype(float)
    first, last = (frame["observation.image"].astype(float) for frame in (frames[0], frames[-1]))
    assert np.abs(last - first).mean() < 0.3 * np.abs(middle - first).mean()


def test_a_pinned_ghosts_object_does_not_move():
    for task in (DRAWER, PICK_PLACE):
        plan = draw_plan(task, "ghost", variant="pinned")
        frames, motion, truth = play(plan, draw=True)
        assert truth["object_travel"].max() < 0.001
        assert not truth["success"].any()
        hand = np.stack([frame["observation.state"] for frame in frames])[:, :3]
        assert np.linalg.norm(hand - hand[0], axis=1).max() > 0.1
        # Its arm gets the commands of a success.
        np.testing.assert_array_equal(motion.actions(), play(replace(plan, kind="success"))[1].actions())


def test_what_slips_stays_or_falls():
    _, motion, truth = play(draw_plan(DRAWER, "ghost", variant="slip", fraction=0.3))
    travel = truth["object_travel"]
    assert 0.3 <= travel[-1] / motion.travel < 0.45
    assert np.ptp(travel[-FPS:]) < 1e-3
    assert truth["phase"][np.argmax(travel >= travel[-1] - 1e-3)] < 0.97

    _, motion, truth = play(draw_plan(PICK_PLACE, "ghost", variant="slip", fraction=0.4))
    simulator = make_simulator(PICK_PLACE, SIZE)._env
    height = simulator._get_pos_objects()[2]
    assert height == pytest.approx(simulator.obj_init_pos[2], abs=0.01)  # on the table again
    assert truth["object_travel"][-1] > 0.02
    assert not truth["success"].any()


def test_a_ghost_leaves_nothing_behind():
    plan = draw_plan(DRAWER)
    before = play(plan)[2]
    for variant in ("pinned", "slip"):
        play(replace(plan, kind="ghost", variant=variant, fraction=0.2))
    after = play(plan)[2]
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


@pytest.mark.parametrize("kind", ["miss", "stall", "wrong_goal"])
def test_failures_fail(kind):
    env = make_simulator(DRAWER, SIZE)
    for attempt in range(50):
        plan = draw_any_plan(DRAWER, kind, 0, np.random.default_rng(attempt), SAME)
        motion = plan_motion(env, plan)
        if motion is None:
            continue
        _, truth = benchmark_episodes.play_motion(env, plan, motion, draw=False)
        if is_as_planned(plan, motion, truth):
            break
    assert not any(truth["success"])
    travel = truth["object_travel"][-1] / motion.travel
    if kind == "stall":
        assert truth["phase"][-1] == pytest.approx(plan.fraction, abs=0.01)
    elif kind == "miss":
        assert travel < 0.25
        assert truth["phase"][-1] == 1
    else:
        assert 0.25 <= travel <= 0.65
        assert motion.path[-1, 2] > motion.path[:, 2].min() + 10  # lifted off


def test_the_wrong_goal_is_elsewhere():
    plan = draw_plan(PICK_PLACE, "wrong_goal")
    env = make_simulator(PICK_PLACE, SIZE)
    place(env, plan, plan.seed)
    low, high = env._env.goal_space.low, env._env.goal_space.high
    goal = np.where(env._env._target_pos > (low + high) / 2, low, high)  # the farthest corner
    plan = replace(plan, other_goal=tuple(((goal - low) / (high - low)).tolist()))
    _, motion, truth = play(plan)
    assert truth["object_travel"][-1] > 0.1
    assert not truth["success"].any()
    np.testing.assert_array_less(0.1, truth["object_distance"][-1])


def test_images_are_those_of_lerobots_environment():
    """All except the first: LeRobot's shows the object where it stood before the reset."""
    plan = draw_plan(DRAWER)
    frames, _, truth = play(plan, draw=True)
    env = make_simulator(DRAWER, SIZE)
    env._env.hand_init_pos = env._env.init_config["hand_init_pos"] + np.array(plan.start)
    env.reset(seed=plan.seed)
    for i in range(np.argmax(truth["success"])):  # LeRobot's ends there
        observation, _, _, _, info = env.step(frames[i]["action"])
        expected = make_frame(observation, frames[i + 1]["action"])
        np.testing.assert_array_equal(frames[i + 1]["observation.state"], expected["observation.state"])
        if i % 8 == 0:
            difference = frames[i + 1]["observation.image"].astype(int) - expected["observation.image"]
            assert np.abs(difference).max() <= 2
        assert info["is_success"] == truth["success"][i + 1]


def test_images_used_again_equal_new_ones(monkeypatch):
    plan = draw_plan(DRAWER, stalls=((0.5, 1.0),))
    drawn = []
    environment = make_simulator(DRAWER, SIZE)
    original = type(environment)._format_raw_obs
    monkeypatch.setattr(
        type(environment), "_format_raw_obs", lambda self, raw: drawn.append(1) or original(self, raw)
    )
    saving, _, _ = play(plan, draw=True)
    n_saving = len(drawn)
    monkeypatch.setattr(benchmark_episodes, "STILL", -1.0)
    every, _, _ = play(plan, draw=True)
    assert len(drawn) - n_saving == len(every) > n_saving + FPS
    for one, other in zip(saving, every, strict=True):
        np.testing.assert_array_equal(one["observation.state"], other["observation.state"])
        difference = one["observation.image"].astype(int) - other["observation.image"]
        assert np.abs(difference).max() <= 2


@pytest.fixture(scope="module")
def root(tmp_path_factory, mujoco_gl):  # noqa: F811
    output_dir = tmp_path_factory.mktemp("benchmark")
    args = ["--task", DRAWER, "--output-dir", str(output_dir), "--image-size", str(SIZE)]
    args += ["--train", "1", "--success", "1", "--failures", "1", "--workers", "2"]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(sys, "argv", ["benchmark_data.py", *args])
        benchmark_data.main()
    return output_dir / DRAWER


def test_the_truth_fits_the_datasets(root):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    kinds = {"train": ["train"], "success": ["success"], "failures": list(FAILURE_KINDS)}
    for name, expected in kinds.items():
        dataset = LeRobotDataset(f"local/{name}", root=root / name, video_backend="pyav")
        assert dataset.fps == FPS
        truth = load_truth(root / name)
        assert [episode["kind"] for episode in truth] == expected
        for episode, row in zip(truth, dataset.meta.episodes, strict=True):
            for key in TRUTHS:
                assert episode[key].shape == (row["length"],)
            assert episode["success"].any() == (name != "failures")
            assert episode["success"].dtype == bool


def test_the_same_seed_makes_the_same_episodes(root):
    """In another process, another simulator and another order."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    make_env.cache_clear()
    dataset = LeRobotDataset("local/success", root=root / "success", video_backend="pyav")
    truth = load_truth(root / "success")[0]
    frames, record = make_episode(make_recipe(), DRAWER, SIZE, 0, "success", 0)
    assert record["seed"] == truth["seed"]
    np.testing.assert_array_equal(record["truth"]["object_distance"], truth["object_distance"])
    row = dataset.meta.episodes[0]
    recorded = dataset.hf_dataset.with_format("numpy")[row["dataset_from_index"] : row["dataset_to_index"]]
    for key in ("action", "observation.state"):
        np.testing.assert_array_equal(np.stack(recorded[key]), np.stack([frame[key] for frame in frames]))


def test_complete_datasets_are_left_alone(root, monkeypatch):
    monkeypatch.setattr(simulation_dataset, "choose_mujoco_gl", lambda: pytest.fail("started the simulator"))
    make_task(DRAWER, root, train=1, success=1, failures=1, image_size=SIZE)
    with pytest.raises(SystemExit, match="--overwrite"):
        make_task(DRAWER, root, train=1, success=1, failures=1, image_size=SIZE, seed=1)


@pytest.mark.parametrize("day", [name for name, day in DAYS.items() if name != SAME and not any(day.outside)])
def test_another_day_changes_the_images_and_leaves_nothing_behind(day):
    plan = draw_plan(DRAWER, factors=(2.0,))
    usual, _, truth = play(plan, draw=True)
    changed, _, same = play(replace(plan, day=day), draw=True)
    for name in truth:
        np.testing.assert_array_equal(truth[name], same[name])
    for image in (0, -1):
        difference = changed[image]["observation.image"] - usual[image]["observation.image"].astype(float)
        # a cup covers a pixel or two
        assert np.abs(difference).max() > 20 if DAYS[day].cup else np.abs(difference).mean() > 0.5
    again = play(plan, draw=True)[0]
    np.testing.assert_array_equal(again[0]["observation.image"], usual[0]["observation.image"])


@pytest.mark.parametrize("task", [*FIXTURES, PICK_PLACE])
def test_an_object_outside_is_just_outside_of_its_usual_range(task):
    env = make_simulator(task, SIZE)
    space = env._env._random_reset_space
    plan = replace(draw_plan(task), day="object outside")
    sides = set()
    for seed in range(12):
        place(env, plan, seed)
        position = env._env._last_rand_vec
        distances = np.maximum(space.low - position, position - space.high)
        assert 0.02 <= distances.max() <= 0.04 and (distances > 0).sum() == 1
        sides.add(int(distances.argmax()))
    assert sides == set(np.flatnonzero((space.high > space.low)[:2]))  # a drawer stands at the wall
    place(env, draw_plan(task), 0)
    assert space.contains(env._env._last_rand_vec)


def test_most_successes_stall_and_none_leaves_the_range_of_speeds():
    plans = [draw_any_plan(DRAWER, "success", i, np.random.default_rng([0, i]), SAME) for i in range(60)]
    stalling = [plan for plan in plans if plan.stalls]
    assert len(stalling) == 40
    for plan in plans:
        assert 0.5 <= min(plan.factors) <= max(plan.factors) <= 2
        assert plan.speed * max(plan.factors) <= 1
        assert len(plan.changes) == len(plan.factors) - 1
    for plan in stalling:
        assert 1 <= sum(seconds for _, seconds in plan.stalls) <= 3


def test_cr5_labels_go_through_the_switches(tmp_path):
    events = {"0": {"length": 101, "gripper_switches": [40, 60, 80]}}
    (tmp_path / "events.json").write_text(json.dumps(events))
    (episode,) = load_cr5_truth(tmp_path)
    assert episode["switch"][[0, 20, 40, 60, 80, 100]].tolist() == [0, 0.25, 0.5, 0.75, 1, 1]
    assert episode["linear"][[0, 5, 50, 95, 100]] == pytest.approx([0, 0, 0.5, 1, 1])


def test_unknown_task():
    with pytest.raises(SystemExit, match="no task 'make-tea-v3' in Meta-World; there are: assembly-v3"):
        check_simulator("make-tea-v3")


def test_an_unusable_mujoco_is_one_line(monkeypatch):
    import mujoco

    monkeypatch.setattr(mujoco, "mjNEQDATA", 12)
    with pytest.raises(SystemExit, match="mujoco<3.17"):
        check_simulator(DRAWER)
