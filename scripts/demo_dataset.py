#!/usr/bin/env python
"""Make a demo data set in the simulator: 40 demonstrations, and 10 failed episodes beside them.

    python scripts/demo_dataset.py                          # outputs/demo/drawer-open-v3 and ...-failures
    python scripts/demo_dataset.py --task button-press-topdown-v3 --image-size 128
    lerobot-eval --policy.path=CHECKPOINT --env.type=metaworld --env.task=drawer-open-v3

A scripted Meta-World expert acts in LeRobot's own MetaworldEnv, so camera, feature names and actions are
the ones that lerobot-eval uses with the trained policy. The last quarter of the demonstrations (episodes
30-39 of 40) is meant to be held out from training. `rewact_extensions/demo_dataset.json` in each data set
records how every episode was made.

Demonstrations differ in where the object stands, where the hand starts and how fast the expert moves, and
end with the first picture of success, where lerobot-eval ends too. Failures are of three kinds:
    miss     the expert's motion for an object that stands elsewhere
    stall    the expert's motion up to some point, then it waits
    release  the expert's motion up to some point, then the hand lifts off and waits

Pictures are drawn without shadows, reflections and anti-aliasing at twice their size and averaged down.
They look like lerobot-eval's 480x480 pictures scaled down, except that the shadows are missing and the
table is a little darker: shadows would cost five times as much in software rendering.
"""

import argparse
import atexit
import contextlib
import functools
import json
import multiprocessing
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from shared.cli import at_least
from shared.rendering import choose_mujoco_gl
from tqdm import tqdm

# Importing LeRobot takes seconds, so the functions below do it when there is something to make.

# The simulator's own rate (5 steps of 2.5 ms an action) and LeRobot's for this environment. Every step is
# a frame: lerobot-eval shows the policy every step, so a data set with repeated actions or fewer frames
# would teach it another speed.
FPS = 80
FAILURE_KINDS = ("miss", "stall", "release")
RECORD = "rewact_extensions/demo_dataset.json"
ATTEMPTS = 50


# ---- Episodes: what happens in the simulator ----


@dataclass(frozen=True)
class Plan:
    """One episode with everything random in it drawn."""

    kind: str  # demo, or one of FAILURE_KINDS
    seed: int  # places the object, as lerobot-eval's reset(seed=...) does
    start: tuple[float, float, float]  # of the hand, relative to Meta-World's own start, in metres
    speed: float  # share of the expert's speed
    fraction: float  # the part of the motion that is done before a stall or a release
    wait: float  # how long those then wait, as a share of the motion
    other_seed: int  # where a miss looks for the object


def draw_plan(kind: str, rng: np.random.Generator) -> Plan:
    return Plan(
        kind=kind,
        seed=int(rng.integers(2**31)),
        start=tuple(rng.uniform((-0.1, -0.05, -0.05), (0.1, 0.05, 0.05)).tolist()),
        speed=float(rng.uniform(0.5, 1.0)),
        fraction=float(rng.uniform(0.6, 0.88)),
        wait=float(rng.uniform(0.3, 0.5)),
        other_seed=int(rng.integers(2**31)),
    )


@functools.cache  # one a process
def make_env(task: str, image_size: int):
    """LeRobot's environment, drawing small and fast."""
    from lerobot.envs.metaworld import MetaworldEnv

    # The experts ask for more than the action range and rely on the clipping.
    warnings.filterwarnings("ignore", message="Constant.s. may be too high")
    env = MetaworldEnv(task, obs_type="pixels_agent_pos")
    env._ensure_env()
    model, renderer = env._env.model, env._env.mujoco_renderer
    # All of this before the first picture, which makes the GL context.
    model.vis.quality.shadowsize = 0
    model.vis.quality.offsamples = 0
    model.mat_reflectance[:] = 0  # a pass of its own, and nothing to see from this camera
    renderer.width = renderer.height = 2 * image_size
    model.vis.global_.offwidth = model.vis.global_.offheight = 2 * image_size
    env.render()
    atexit.register(env.close)  # after mujoco's own, which that first picture registers: they run in reverse
    return env


def reset(env, seed: int, start: tuple[float, float, float]) -> dict:
    """Reset as lerobot-eval does, with the hand at `start`."""
    env._env.hand_init_pos = env._env.init_config["hand_init_pos"] + np.array(start)
    return env.reset(seed=seed)[0]


def reset_simulator(env, seed: int, start: tuple[float, float, float]) -> np.ndarray:
    """The same reset without a picture; the simulator's own observation (39,)."""
    simulator = env._env
    simulator.hand_init_pos = simulator.init_config["hand_init_pos"] + np.array(start)
    simulator.seed(seed)
    return simulator.reset()[0]


def rehearse(env, seed: int, start: tuple[float, float, float], speed: float) -> list[np.ndarray] | None:
    """The expert's actions up to success, None if it does not get there. Draws no pictures.

    The simulator is deterministic: played again from the same reset, they lead to the same success.
    """
    simulator = env._env
    reset_simulator(env, seed, start)
    actions = []
    for _ in range(env._max_episode_steps):
        action = np.clip(env.expert_policy.get_action(simulator._get_obs()), -1, 1).astype(np.float32)
        action[:3] *= np.float32(speed)
        actions.append(action)
        if simulator.step(action)[-1]["success"]:
            return actions
    return None


def plan_actions(env, plan: Plan) -> list[np.ndarray] | None:
    """The actions (4,) float32 of an episode, None if the plan does not work out."""
    actions = rehearse(env, plan.seed, plan.start, plan.speed)
    if actions is None or plan.kind == "demo":
        return actions
    object_pos = env._env.obj_init_pos.copy()
    if plan.kind == "miss":
        actions = rehearse(env, plan.other_seed, plan.start, plan.speed)
        # Far enough beside the object not to touch it by chance.
        return actions if np.linalg.norm(env._env.obj_init_pos - object_pos) > 0.1 else None
    done = actions[: round(plan.fraction * len(actions))]
    gripper, n_lift = done[-1][3], 0
    if plan.kind == "release":
        gripper, n_lift = -1, round(15 / plan.speed)  # open, 15 cm up: an action of 1 is a centimetre
    lift = np.array([0, 0, plan.speed, gripper], dtype=np.float32)
    wait = np.array([0, 0, 0, gripper], dtype=np.float32)
    return done + n_lift * [lift] + round(plan.wait * len(actions)) * [wait]


def play(env, plan: Plan, actions: list[np.ndarray]) -> Iterator[tuple[dict, bool]]:
    """Yield a frame and whether the task is solved in it, for each action and for the end."""
    observation, success = reset(env, plan.seed, plan.start), False
    for action in actions:
        yield make_frame(observation, action), success
        observation, _, _, _, info = env.step(action)
        success = info["is_success"]
        if success:  # the environment has reset itself
            break
    # Nothing acts on the last picture: lerobot-eval ends here. It repeats the action that led to it.
    yield make_frame(observation, action), success


def make_frame(observation: dict, action: np.ndarray) -> dict:
    pixels = observation["pixels"]  # (2H, 2W, 3) uint8
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    return {
        "observation.image": pixels.reshape(h, 2, w, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8),
        "observation.state": observation["agent_pos"].astype(np.float32),  # (4,) hand x, y, z and opening
        "action": action,
    }


def make_episode(task: str, image_size: int, seed: int, kind: str, index: int) -> tuple[list[dict], dict]:
    """Frames and record of an episode that the simulator has judged: a demo succeeds, all others fail."""
    env = make_env(task, image_size)
    for attempt in range(ATTEMPTS):
        # Drawn from the episode's own numbers, so that the number of workers changes nothing.
        rng = np.random.default_rng([seed, ("demo", *FAILURE_KINDS).index(kind), index, attempt])
        plan = draw_plan(kind, rng)
        actions = plan_actions(env, plan)
        if actions is None:
            continue
        frames, successes = zip(*play(env, plan, actions), strict=True)
        if successes[-1] == (kind == "demo"):
            record = asdict(plan) | {"success": successes[-1], "length": len(frames), "attempts": attempt + 1}
            return list(frames), record
    raise SystemExit(f"{task}: no episode of kind '{kind}' in {ATTEMPTS} attempts; choose another --task")


# ---- Data sets: what lies on the disk ----


def is_complete(root: Path, settings: dict, overwrite: bool, record: str = RECORD) -> bool:
    """True if `root` holds this data set, False if it may be made; exit if something else is there."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = json.loads((root / record).read_text())["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        raise SystemExit(
            f"{root} exists and is not a data set of this script: choose another --output-dir"
        ) from None
    if found == settings and (root / "meta/info.json").is_file() and not overwrite:
        return True
    if not overwrite:
        raise SystemExit(f"{root} was made with {found}, not {settings}: add --overwrite or --output-dir DIR")
    return False


def is_running(pid: str) -> bool:
    """False where it cannot be known: signal 0 only asks on POSIX, and it interrupts elsewhere."""
    if os.name != "posix" or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def claim_partial(root: Path) -> Path:
    """The empty folder beside `root` where it is built, cleared of what an interrupted run left there."""
    partial = root.with_name(root.name + ".partial")
    owner = partial / "PID"
    if partial.exists():
        if not owner.is_file():
            raise SystemExit(f"{partial} is in the way and not of this script: move it, or use --output-dir")
        pid = owner.read_text()
        if is_running(pid):
            raise SystemExit(f"{root} is being made by process {pid}: wait, or delete {partial}")
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    owner.write_text(str(os.getpid()))
    return partial


def write_dataset(
    root: Path,
    settings: dict,
    episodes: Iterable[tuple[list[dict], dict]],
    description: str,
    record: str = RECORD,
) -> None:
    """Write episodes as a LeRobot data set; `root` appears once it is complete."""
    import av
    import datasets

    from lerobot.configs.video import RGBEncoderConfig
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    datasets.disable_progress_bars()  # one for every episode
    av.logging.set_libav_level(av.logging.ERROR)  # the codec's statistics on every episode

    image_size = settings["image_size"]
    names = ["x", "y", "z", "gripper"]
    partial = claim_partial(root)
    dataset = LeRobotDataset.create(
        repo_id=f"rewact/demo-{root.name}",
        fps=FPS,
        features={
            "observation.image": {
                "dtype": "video",
                "shape": (image_size, image_size, 3),
                "names": ["height", "width", "channels"],
            },
            "observation.state": {"dtype": "float32", "shape": (4,), "names": names},
            "action": {"dtype": "float32", "shape": (4,), "names": names},
        },
        root=partial / "dataset",
        robot_type="sawyer",
        # Faster than the default AV1 at the same loss, and every PyAV has it; no B-frames: frames stay in order.
        rgb_encoder=RGBEncoderConfig(vcodec="h264", crf=10, preset="veryfast", extra_options={"bf": 0}),
        streaming_encoding=True,
        encoder_queue_maxsize=4000,  # longer than any episode: a full queue drops frames
        video_backend="pyav",  # nothing is decoded here; looking for torchcodec may end in a long warning
    )
    records = []
    for frames, episode in tqdm(episodes, desc=root.name, total=settings["episodes"], unit="episode"):
        for frame in frames:
            dataset.add_frame(frame | {"task": description})
        dataset.save_episode()
        records.append(episode)
    dataset.finalize()

    held_out = list(range(settings["episodes"] - settings["held_out"], settings["episodes"]))
    file = partial / "dataset" / record
    file.parent.mkdir()
    file.write_text(json.dumps({"settings": settings, "held_out": held_out, "episodes": records}, indent=1))
    if root.exists():
        shutil.rmtree(root)  # ours (is_complete has looked) or empty
    (partial / "dataset").rename(root)
    shutil.rmtree(partial)


def summarise(root: Path) -> str:
    """One line on a data set."""
    content = json.loads((root / RECORD).read_text())
    episodes, held_out = content["episodes"], content["held_out"]
    lengths = [episode["length"] for episode in episodes]
    line = f"{root}: {len(episodes)} episodes of {min(lengths)} to {max(lengths)} frames"
    line += f" (median {np.median(lengths):g})"
    if held_out:
        line += f", train on 0-{held_out[0] - 1}, held out {held_out[0]}-{held_out[-1]}"
    if content["settings"]["kind"] == "demo":
        return line + f", {len(episodes)} of {sum(e['attempts'] for e in episodes)} attempts of the expert"
    kinds = [episode["kind"] for episode in episodes]
    return line + ", " + ", ".join(f"{kinds.count(kind)} {kind}" for kind in FAILURE_KINDS)


# ---- The command ----


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


@contextlib.contextmanager
def workers(n: int):
    """A `map` that runs in n processes, or in this one."""
    if n == 1:
        yield map
        return
    # The fork server imports LeRobot once for all workers. A plain fork would copy locks of torch's threads.
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver

        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["lerobot.envs.metaworld"])
        forkserver.ensure_running()  # imports while this process does its own
    else:
        context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n, mp_context=context)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def add_simulation_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of all data that comes from the simulator."""
    # fmt: off
    parser.add_argument("--image-size", type=int, default=96,
        help="width and height of the pictures")
    parser.add_argument("--seed", type=int, default=0,
        help="the same seed makes the same episodes")
    parser.add_argument("--workers", type=int, default=2,
        help="the number of processes that simulate and draw; 1 does it in this one")
    # fmt: on


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="drawer-open-v3",
        help="the Meta-World task")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/demo"),
        help="where the folders <task> and <task>-failures go")
    parser.add_argument("--episodes", type=int, default=40,
        help="the number of demonstrations, the last quarter of which is held out")
    parser.add_argument("--failures", type=int, default=10,
        help="the number of failed episodes; 0 for no such data set")
    add_simulation_arguments(parser)
    parser.add_argument("--overwrite", action="store_true",
        help="make anew what this script has made with other settings")
    args = parser.parse_args()
    # fmt: on
    at_least(parser, args, episodes=1, failures=0, image_size=16, seed=0, workers=1)

    common = {"task": args.task, "image_size": args.image_size, "seed": args.seed, "version": 1}
    wanted = {
        args.output_dir / args.task: {
            "kind": "demo", "episodes": args.episodes, "held_out": args.episodes // 4, **common
        },
        args.output_dir / f"{args.task}-failures": {
            "kind": "failure", "episodes": args.failures, "held_out": 0, **common
        },
    }  # fmt: skip
    wanted = {root: settings for root, settings in wanted.items() if settings["episodes"]}
    missing = [root for root, settings in wanted.items() if not is_complete(root, settings, args.overwrite)]
    for root in wanted.keys() - missing:
        print(f"complete already: {summarise(root)}")
    if not missing:
        return

    os.environ["MUJOCO_GL"] = choose_mujoco_gl()
    with workers(args.workers) as run:
        description = check_simulator(args.task)
        episodes = {}
        for root in missing:
            demo, n = wanted[root]["kind"] == "demo", wanted[root]["episodes"]
            kinds = ["demo" if demo else FAILURE_KINDS[index % len(FAILURE_KINDS)] for index in range(n)]
            jobs = ((args.task, args.image_size, args.seed, kind, index) for index, kind in enumerate(kinds))
            # With workers this starts them all: the failures are on their way while the demos are written.
            episodes[root] = run(make_episode, *zip(*jobs, strict=True))
        for root in missing:
            write_dataset(root, wanted[root], episodes[root], description)
            print(summarise(root))


if __name__ == "__main__":
    main()
