"""Watch what a trained policy says about the progress of each episode, and score it.

    python scripts/visualise.py                                           # the newest run in outputs/train
    python scripts/visualise.py --policy-path outputs/train/banana        # a run, a checkpoint or a Hub id
    python scripts/visualise.py --policy-path outputs/train/banana --episodes 40-47
    python scripts/visualise.py --policy-path outputs/train/banana --dataset-repo-id me/other_data

Writes for each episode a video (the policy's cameras with the reward curve growing under them) and an image (the
whole curve with a few frames); for the run, curves.png with all curves and no frames, and summary.json with the
metrics that the table on the terminal shows.

Without --episodes it takes the episodes that the checkpoint was not trained on. The metrics of the clock, which
only counts frames, stand beside the policy's: see scripts/shared/metrics.py.
"""

import shared.loading  # noqa: F401  # isort: skip

import argparse
import contextlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shared.cli import Parser, UserError, at_least, format_episodes, run_cli, say_next, warn
from shared.frames import rows_of_episode
from shared.metrics import clock, summarise
from shared.predict import BATCH_SIZE
from shared.run import Opened, add_run_arguments, find_run, open_run
from tqdm import tqdm
from visualising.caption import make_caption
from visualising.episode import draw_episode
from visualising.figures import draw_overview
from visualising.report import parts_lines, table

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def make_output_dir(output_dir: str | None, run: str) -> Path:
    """Make a folder that holds nothing yet, so that no file of another run is overwritten or mistaken for ours."""
    if output_dir is not None:
        folder = Path(output_dir)
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--output-dir {folder} is a file.")
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(f"--output-dir {folder} is not empty: name a new folder, or leave it out.")
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    for attempt in range(1, 1000):
        folder = Path("outputs/visualise") / run / (stamp if attempt == 1 else f"{stamp}-{attempt}")
        with contextlib.suppress(FileExistsError):  # another run of the same second
            folder.mkdir(parents=True)
            return folder
    raise UserError(f"outputs/visualise/{run} is full.")


def visualise(opened: Opened, output_dir: Path, batch_size: int, model_dtype: str) -> dict[str, Any]:
    """Draw the episodes into `output_dir`. Returns summary.json's `clock`, `mean` and `episodes`."""
    loaded, choice = opened.loaded, opened.choice
    repo_id = loaded.dataset.repo_id
    mean_train_length = float(np.mean(choice.train_lengths)) if choice.train_lengths else None
    lengths = {episode: len(rows_of_episode(loaded.dataset, episode)) for episode in choice.episodes}
    prefix = re.sub(r"[^\w.-]+", "_", repo_id)
    rows, drawn = [], {}
    with tqdm(total=sum(lengths.values()), unit="frame") as progress:
        for done, (episode, length) in enumerate(lengths.items(), start=1):
            progress.set_description(f"episode {episode} ({done}/{len(lengths)})")
            caption = make_caption(repo_id, episode, choice)
            stem = output_dir / f"{prefix}_episode_{episode:06d}"
            curve, verdict, metrics = draw_episode(
                loaded,
                episode,
                stem,
                caption,
                opened.label(episode),
                None if mean_train_length is None else clock(length, mean_train_length),
                opened.outcomes.get(episode),
                opened.entries.get(episode),
                batch_size,
                DTYPES[model_dtype],
                progress,
            )
            seen = None if choice.trained_on is None else episode in choice.trained_on
            files = {"video": f"{stem.name}.mp4", "picture": f"{stem.name}.png"}
            alarm = (
                None if curve.alarm is None else {"seconds": curve.alarm / curve.fps, "reason": curve.reason}
            )
            row = {
                "episode": episode,
                "length": length,
                "trained_on": seen,
                **metrics,
                "alarm": alarm,
                **files,
            }
            rows.append(row)
            drawn[episode] = (curve, caption, verdict)
    title = f"Reward of {choice.kind} {format_episodes(list(drawn))}\n{repo_id}, policy {opened.run.name}"
    draw_overview(output_dir / "curves.png", title, drawn)
    return {
        "clock": {"mean_train_length": mean_train_length},
        "mean": summarise(rows),
        "episodes": rows,
    }


def describe(opened: Opened, overrides: list[str], device: str, model_dtype: str) -> dict[str, Any]:
    """What summary.json says about the policy, the dataset and the choice of episodes."""
    meta, choice = opened.loaded.dataset.meta, opened.choice
    return {
        "policy": {
            "path": str(opened.run.folder),
            "step": opened.run.step,
            "type": opened.loaded.policy.config.type,
            "overrides": overrides,
            "device": device,
            "model_dtype": model_dtype,
        },
        "dataset": {"repo_id": meta.repo_id, "root": str(meta.root), "fps": meta.fps},
        "selection": {
            "rule": choice.rule,
            "trained_on": None if choice.trained_on is None else format_episodes(choice.trained_on),
        },
        "labels": opened.label_settings,
        "warnings": choice.warnings,
    }


def parse_args() -> argparse.Namespace:
    # fmt: off
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_arguments(parser, episodes="episodes to draw, such as 40-47 or 0,3,5-7 (default: those held out)")
    parser.add_argument("--output-dir", metavar="DIR",
        help="new or empty folder (default: outputs/visualise/<run>/<time>)")
    parser.add_argument("--policy-overrides", nargs="+", default=[], metavar="K=V",
        help="fields of the policy's config to change")
    parser.add_argument("--model-dtype", default="float32", choices=DTYPES,
        help="precision to compute in; below float32 by autocast")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, metavar="N",
        help="frames per model call; changes the speed, not the metrics")
    # fmt: on
    args = parser.parse_args()
    at_least(parser, args, batch_size=1)
    return args


def main() -> None:
    args = parse_args()
    run = find_run(args.policy_path, args.dataset_repo_id, args.dataset_root)
    opened = open_run(run, args.episodes, args.device, args.policy_overrides)
    if not opened.loaded.cameras:
        raise UserError(f"the policy at {run.folder} sees no camera, so there is nothing to draw.")
    output_dir = make_output_dir(args.output_dir, run.name)
    drawn = visualise(opened, output_dir, args.batch_size, args.model_dtype)
    device = opened.loaded.policy.config.device
    summary = describe(opened, args.policy_overrides, device, args.model_dtype) | drawn
    (output_dir / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")

    print(f"\n{table(drawn['episodes'], drawn['mean'])}\n")
    print("\n".join(parts_lines(drawn["episodes"])))
    for row in drawn["episodes"]:
        if row["alarm"] is not None:
            print(f"episode {row['episode']}, {row['alarm']['seconds']:.1f} s: {row['alarm']['reason']}")
    for warning in opened.choice.warnings:  # again where the metrics are read
        warn(warning)
    print(f"written to {output_dir}: {len(drawn['episodes'])} videos and images, curves.png, summary.json")
    if opened.choice.rule == "held-out" and opened.loaded.policy.config.reward_stop_threshold is None:
        say_next(f"find the reward at which the task counts as done: make calibrate POLICY={run.folder}")


if __name__ == "__main__":
    run_cli(main)
