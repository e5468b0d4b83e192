"""Datasets of simulated episodes: which are there already, and how missing ones are made.

    missing = [wanted for wanted in all_wanted if not is_complete(wanted, recipe, overwrite=False)]
    make_datasets(recipe, missing, n_workers=2)

A dataset's folder appears once it is complete. `rewact_extensions/<record>.json` in it records how every episode was
made.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from shared.rendering import choose_mujoco_gl
from tqdm import tqdm

from simulation.generator import Recipe, make_episode


@dataclass(frozen=True)
class Wanted:
    """A dataset to make.

    Attributes:
        root: its folder.
        settings: what it is made with, for the record; task, image_size, seed and held_out (a number) are read.
        episodes: the kind of each episode, and its number among those of its kind or in the dataset.
    """

    root: Path
    settings: dict
    episodes: Sequence[tuple[str, int]]


def add_arguments(parser: argparse.ArgumentParser, image_size: int = 96) -> None:
    """The arguments of every command that makes datasets in the simulator."""
    # fmt: off
    parser.add_argument("--image-size", type=int, default=image_size,
        help="width and height of the images")
    parser.add_argument("--seed", type=int, default=0,
        help="the same seed makes the same episodes")
    parser.add_argument("--workers", type=int, default=2,
        help="the number of processes that simulate and draw; 1 uses this process")
    parser.add_argument("--overwrite", action="store_true",
        help="make again what this script has made before")
    # fmt: on


def is_complete(wanted: Wanted, recipe: Recipe, overwrite: bool) -> bool:
    """True if the dataset is there, False if it may be made; exit if its folder holds something else."""
    root, settings = wanted.root, wanted.settings
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = json.loads((root / recipe.record).read_text())["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        raise SystemExit(
            f"{root} exists and is not a dataset of this script: choose another --output-dir"
        ) from None
    if found == settings and (root / "meta/info.json").is_file() and not overwrite:
        return True
    if not overwrite:
        raise SystemExit(f"{root} was made with {found}, not {settings}: add --overwrite or --output-dir DIR")
    return False


def make_datasets(recipe: Recipe, missing: Sequence[Wanted], n_workers: int) -> None:
    """Make datasets of the same task, in n_workers processes or, for 1, in this one."""
    if not missing:
        return
    os.environ["MUJOCO_GL"] = choose_mujoco_gl()
    with workers(n_workers) as run:
        description = recipe.describe(missing[0].settings["task"])
        episodes = []
        for wanted in missing:
            common = [wanted.settings[name] for name in ("task", "image_size", "seed")]
            jobs = [(recipe, *common, kind, index) for kind, index in wanted.episodes]
            # With workers this starts them all: the next dataset is being simulated while one is written.
            episodes.append(run(make_episode, *zip(*jobs, strict=True)))
        for wanted, made in zip(missing, episodes, strict=True):
            write_dataset(wanted, made, description, recipe)


@contextlib.contextmanager
def workers(n: int):
    """A `map` that runs in n processes, or in this one."""
    if n == 1:
        yield map
        return
    # The fork server imports LeRobot once for all workers. A plain fork would copy locks of torch's threads.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        from multiprocessing import forkserver

        context.set_forkserver_preload(["lerobot.envs.metaworld", "lerobot_robot_so101_sim"])
        forkserver.ensure_running()  # it imports while this process does its own imports
    pool = ProcessPoolExecutor(n, mp_context=context)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def write_dataset(
    wanted: Wanted, episodes: Iterable[tuple[list[dict], dict]], description: str, recipe: Recipe
) -> None:
    """Write episodes, as (frames, record), to a LeRobot dataset; its folder appears once it is complete."""
    root, settings, n_episodes = wanted.root, wanted.settings, len(wanted.episodes)
    partial = claim_partial(root)
    dataset = create_dataset(partial / "dataset", f"rewact/demo-{root.name}", recipe, settings)
    records = []
    for frames, episode in tqdm(episodes, desc=root.name, total=n_episodes, unit="episode"):
        for frame in frames:
            dataset.add_frame(frame | {"task": description})
        dataset.save_episode()
        records.append(episode)
    dataset.finalize()

    held_out = list(range(n_episodes - settings["held_out"], n_episodes))
    file = partial / "dataset" / recipe.record
    file.parent.mkdir()
    file.write_text(json.dumps({"settings": settings, "held_out": held_out, "episodes": records}, indent=1))
    if root.exists():
        shutil.rmtree(root)  # ours, as is_complete has checked, or empty
    (partial / "dataset").rename(root)
    shutil.rmtree(partial)


def create_dataset(root: Path, repo_id: str, recipe: Recipe, settings: dict):
    """An empty LeRobot dataset for the frames of a recipe."""
    import av
    import datasets

    from lerobot.configs.video import RGBEncoderConfig
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    datasets.disable_progress_bars()  # one for every episode
    av.logging.set_libav_level(av.logging.ERROR)  # the codec's statistics on every episode
    fps, robot_type, features = recipe.describe_format(settings["task"], settings["image_size"])
    return LeRobotDataset.create(
        repo_id=repo_id,
        fps=fps,
        features=features,
        root=root,
        robot_type=robot_type,
        # Faster than the default AV1 at the same loss, and in every PyAV; without B-frames frames stay in order.
        rgb_encoder=RGBEncoderConfig(vcodec="h264", crf=10, preset="veryfast", extra_options={"bf": 0}),
        streaming_encoding=True,
        encoder_queue_maxsize=4000,  # longer than any episode: a full queue drops frames
        video_backend="pyav",  # nothing is decoded here; looking for torchcodec may end in a long warning
    )


def claim_partial(root: Path) -> Path:
    """Create `<root>.partial`, which is empty but for this process's id, or exit where another process uses it."""
    partial = root.with_name(root.name + ".partial")
    owner = partial / "PID"
    if partial.exists():
        if not owner.is_file():
            raise SystemExit(f"{partial} is in the way and not of this script: move it, or use --output-dir")
        pid = owner.read_text()
        if is_running(pid):
            raise SystemExit(f"{root} is being made by process {pid}: wait, or delete {partial}")
        shutil.rmtree(partial)  # of an interrupted run
    partial.mkdir(parents=True)
    owner.write_text(str(os.getpid()))
    return partial


def is_running(pid: str) -> bool:
    """False also where it cannot be known: only on POSIX does signal 0 ask without interrupting."""
    if os.name != "posix" or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process
        return True
    return True
