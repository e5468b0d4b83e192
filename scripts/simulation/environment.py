"""LeRobot's Meta-World environment, drawing small and fast, and the frames that are recorded from it.

Frames are drawn without shadows, reflections and anti-aliasing at twice their size and averaged down. They look like
lerobot-eval's 480x480 images scaled down, except that the shadows are missing and the table is a little darker:
shadows would take five times as long in software rendering.
"""

import atexit
import functools
import warnings

import numpy as np

from simulation.generator import Format

# Importing LeRobot takes seconds, so the functions below do it when there is something to make.

# The simulator's own rate (5 steps of 2.5 ms for each action) and LeRobot's for this environment. Every step is a
# frame: lerobot-eval shows the policy every step, so repeated actions or fewer frames would teach it another speed.
FPS = 80


def check_simulator(task: str) -> str:
    """The task's description in words; exit with one line where the simulator cannot run it."""
    try:
        import mujoco

        from lerobot.envs.metaworld import TASK_DESCRIPTIONS
    except ModuleNotFoundError as err:
        raise SystemExit(f"{err}: install the simulator with: pip install 'lerobot[metaworld]'") from None
    if mujoco.mjNEQDATA != 11:  # the length that Meta-World writes
        raise SystemExit(f"Meta-World cannot use mujoco {mujoco.__version__}: pip install 'mujoco<3.17'")
    if task not in TASK_DESCRIPTIONS:
        raise SystemExit(f"no task '{task}' in Meta-World; there are: {', '.join(sorted(TASK_DESCRIPTIONS))}")
    return TASK_DESCRIPTIONS[task]


@functools.cache  # one per process
def make_env(task: str, image_size: int):
    """LeRobot's environment of a Meta-World task."""
    from lerobot.envs.metaworld import MetaworldEnv

    # The experts' actions may exceed the range of actions; they rely on the clipping.
    warnings.filterwarnings("ignore", message="Constant.s. may be too high")
    env = MetaworldEnv(task, obs_type="pixels_agent_pos")
    env._ensure_env()
    model, renderer = env._env.model, env._env.mujoco_renderer
    # All of this before the first image, which creates the GL context.
    model.vis.quality.shadowsize = 0
    model.vis.quality.offsamples = 0
    model.mat_reflectance[:] = 0  # costs a pass of its own, and this camera sees no reflections
    renderer.width = renderer.height = 2 * image_size
    model.vis.global_.offwidth = model.vis.global_.offheight = 2 * image_size
    env.render()
    # Runs before mujoco's own exit handler, because that one was registered by the first image.
    atexit.register(env.close)
    return env


def reset_simulator(env, seed: int, start: tuple[float, float, float]) -> np.ndarray:
    """Reset as lerobot-eval does, with the hand moved by `start`, without drawing; the simulator's own observation (39,)."""
    simulator = env._env
    simulator.hand_init_pos = simulator.init_config["hand_init_pos"] + np.array(start)
    simulator.seed(seed)
    return simulator.reset()[0]


def describe_format(_task: str, image_size: int) -> Format:
    """How the frames of `make_frame` are recorded."""
    names = ["x", "y", "z", "gripper"]
    image = {"dtype": "video", "shape": (image_size, image_size, 3), "names": ["height", "width", "channels"]}
    numbers = {"dtype": "float32", "shape": (4,), "names": names}
    features = {"observation.image": image, "observation.state": numbers, "action": numbers}
    return Format(FPS, "sawyer", features)


def make_frame(observation: dict, action: np.ndarray) -> dict:
    """A frame of the dataset from LeRobot's observation and the action (4,) that follows it."""
    pixels = observation["pixels"]  # (2H, 2W, 3) uint8
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    return {
        "observation.image": pixels.reshape(h, 2, w, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8),
        "observation.state": observation["agent_pos"].astype(np.float32),  # (4,) hand x, y, z and opening
        "action": action,
    }
