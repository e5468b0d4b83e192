"""How often a trained policy solves a task of the benchmark, in the simulator that its demonstrations come from."""

import os
from collections.abc import Callable

import numpy as np
import torch
from lerobot_robot_so101_sim.days import SAME
from shared.predict import observe
from shared.rendering import choose_mujoco_gl
from simulation.benchmark_episodes import Camera, Judge
from simulation.benchmark_plans import draw_plan
from simulation.benchmark_scenes import make_simulator, place
from simulation.environment import make_frame

from lerobot.utils.constants import OBS_STATE

EPISODES = 20
SEED = 1  # of the scenes; that of the demonstrations is 0
TIME = 2  # an episode may take so many times as long as the longest demonstration


@torch.no_grad()
def success_rate(
    policy: torch.nn.Module,
    preprocessor: Callable,
    postprocessor: Callable,
    task: str,
    longest: int,
    image_size: int = 96,
) -> float:
    """The share of scenes that the policy solves. They are drawn as the demonstrations' are, and are none of them.

    The policy looks at the scene whenever its actions are used up, as in `select_action`.

    Args:
        policy, preprocessor, postprocessor: of `load_policy`.
        task: its name.
        longest: frames of the longest demonstration.
        image_size: width and height of the images.
    """
    os.environ["MUJOCO_GL"] = choose_mujoco_gl()
    env = make_simulator(task, image_size)
    solved = 0
    for index in range(EPISODES):
        plan = draw_plan(task, "train", index, np.random.default_rng([SEED, index]), SAME)
        raw = place(env, plan, plan.seed)
        judge, camera = Judge(plan, env._env), Camera(env)
        actions: list[np.ndarray] = []
        for _ in range(TIME * longest):
            if not actions:
                frame = make_frame(camera(raw), np.zeros(4, np.float32))
                image = torch.from_numpy(frame["observation.image"]).permute(2, 0, 1)[None]
                state = torch.from_numpy(frame["observation.state"])[None]
                batch = observe(preprocessor, {"observation.image": image, OBS_STATE: state})
                chunk = postprocessor(policy.predict_action_chunk(batch))
                actions = list(chunk[0, : policy.config.n_action_steps].cpu().numpy())
            action = np.clip(actions.pop(0), -1, 1).astype(np.float32)
            raw = env._env.step(action)[0]
            if judge(raw, action)["success"]:
                solved += 1
                break
    return solved / EPISODES
