"""Tasks on the day of the demonstrations and on other days: does the reward hold when the light changes?

The stop rule's threshold is calibrated once, on successes of the same day, as a user would.
"""

import dataclasses
from pathlib import Path

from lerobot_robot_so101_sim.days import SAME
from simulation.benchmark_data import load_truth, make_other_day, make_task
from simulation.so101.plans import FPS, TASKS

from benchmarking.curves import OK
from benchmarking.measuring import clocks, episodes_of, predictions
from benchmarking.plots import SO101_TITLES, TITLES, draw_task
from benchmarking.runs import VARIANTS, prediction_folder, run_folder, train
from benchmarking.scores import SUCCESS, Episode, score
from benchmarking.tasks import Task, simulated_task

IMAGE_SIZE = 128
SAME_DAY = {"success": 40, "failures": 15}  # episodes, of each kind
OTHER_DAY = {"success": 20, "failures": 10}
CHUNK_S = 2  # seconds of a chunk of actions
STEPS = 600
# An episode ends about a second after the task is done, and a policy goes on. A stop in these seconds is late, not missed.
REST_S = 3.0


def so101_task(name: str, data: Path) -> Task:
    """A task on the same day; its episodes are made in the folder `data` unless they are there."""
    make_task(name, data, 40, SAME_DAY["success"], SAME_DAY["failures"], IMAGE_SIZE)
    return Task(
        name=name,
        train=data / "train",
        flags={"policy.chunk_size": str(CHUNK_S * FPS[name]), "steps": str(STEPS)},
        **held_out_in(data),
        train_lengths=[len(episode["phase"]) for episode in load_truth(data / "train")],
        rest_s=REST_S,
    )


def held_out_in(data: Path) -> dict:
    """The held-out datasets in a folder, and the truth about them, as a `Task` has them."""
    truth = load_truth(data / "success") + load_truth(data / "failures")
    return {
        "held_out": [(data / "success", None), (data / "failures", None)],
        "truth": [episode | {"done": episode["success"]} for episode in truth],
    }


def make_day_task(name: str, data: Path) -> Task:
    """A task on the same day, of either simulator."""
    return so101_task(name, data) if name in TASKS else simulated_task(name, data)


def on_day(task: Task, data: Path, day: str) -> Task:
    """A task with the held-out episodes of a day."""
    if day == SAME:
        return task
    folder = data / day.replace(", ", " and ").replace(" ", "-")
    size = {"image_size": IMAGE_SIZE} if task.name in TASKS else {}
    make_other_day(task.name, folder, day, OTHER_DAY["success"], OTHER_DAY["failures"], **size)
    return dataclasses.replace(task, **held_out_in(folder))


def measure_days(
    name: str, seed: int, output: Path, days: list[str], variants: dict[str, dict[str, str]] = VARIANTS
) -> dict[str, dict]:
    """Train on a task, score every day, and draw three episodes. What is on the disk is not done again.

    Args:
        name: of the task.
        seed: of the training runs.
        output: the benchmark's folder.
        days: names in `lerobot_robot_so101_sim.days`, besides the same day.
        variants: as in `measure`.
    Returns:
        {day: {row: {metric: value}}}.
    """
    data = output / "data" / name
    same = make_day_task(name, data)
    checkpoints = {
        variant: train(run_folder(output, name, seed, variant), same, seed, flags)
        for variant, flags in variants.items()
    }
    calibration: dict[str, list[Episode]] = {}  # by row: the successes of the same day
    results: dict[str, dict] = {}
    for day in [SAME, *days]:
        task = on_day(same, data, day)
        rows = {"clock": clocks(task)}
        for variant, checkpoint in checkpoints.items():
            rows |= predictions(
                task, checkpoint, prediction_folder(output, name, seed) / day / f"{variant}.npz"
            )
        ok = rows.pop(OK, None)
        if day == SAME:
            titles = SO101_TITLES if name in TASKS else TITLES
            draw_task(output / f"{name}-{seed}.png", name, task.truth, rows, task.fps, titles)
        results[day] = {}
        for row, curves in rows.items():
            episodes = episodes_of(task, curves, ok if row == "ours" else None)
            results[day][row] = score(episodes, calibration.get(row, ()))
            if day == SAME:
                calibration[row] = [episode for episode in episodes if episode.kind == SUCCESS]
    return results
