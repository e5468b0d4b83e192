"""Tasks on the day of the demonstrations and on other days: does the reward hold when the light changes?

The stop rule's threshold is calibrated once, on successes of the same day, as a user would.
"""

import dataclasses
from pathlib import Path

from lerobot_robot_so101_sim.days import SAME
from scipy.stats import binomtest
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

FIRST_COLUMNS = {"mae": "MAE", "final_success": "final, success", "alarms_success": "alarms on successes"}
LAST_COLUMNS = {"false_stops": "false stops", "early_stops": "early stops", "missed_stops": "missed stops", "stop_delay_s": "delay, s"}  # fmt: skip
AUROC = "auroc_final_"


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
        days: names in `simulation.days`, besides the same day.
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


def rate(share: float, n: int) -> str:
    """'1 of 20 (1-24 %)': a count, and the 95 % interval of its rate (Wilson)."""
    count = round(share * n)
    interval = binomtest(count, n).proportion_ci(method="wilson")
    return f"{count} of {n} ({100 * interval.low:.0f}-{100 * interval.high:.0f} %)"


def cell(key: str, metrics: dict) -> str:
    """A figure as the table prints it."""
    value = metrics.get(key)
    if value is None:
        return "n/a"
    if key in ("alarms_success", "early_stops", "missed_stops"):
        return rate(value, metrics["n_success"])
    if key == "false_stops":
        return rate(value, metrics["n_failures"])
    return f"{value:.3f}" if key in ("mae", "final_success") else f"{value:.2f}"


def table(results: dict[str, dict[str, dict]]) -> str:
    """The metrics of every day by row, as `measure_days` gives them. By kind of failure: AUROC of the last reward."""
    every = [metrics for rows in results.values() for metrics in rows.values()]
    kinds = dict.fromkeys(key for metrics in every for key in metrics if key.startswith(AUROC))
    columns = FIRST_COLUMNS | {key: key.removeprefix(AUROC).replace("_", " ") for key in kinds} | LAST_COLUMNS
    lines = ["| day | row | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 2) + "|"]
    for day, rows in results.items():
        for row, metrics in rows.items():
            lines.append(f"| {day} | {row} | " + " | ".join(cell(key, metrics) for key in columns) + " |")
    return "\n".join(lines) + "\n"
