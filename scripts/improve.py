#!/usr/bin/env python
"""Make a policy judge better with the rollouts that it has recorded, once a person has said how each of them ended.

    make improve ROLLOUTS=outputs/demo/rollout_so101                      # the newest run, on its demonstrations
    make improve POLICY=outputs/train/cups DATASET=me/cups ROLLOUTS=data/rollout_cups STEPS=5000

It joins demonstrations and rollouts, trains the checkpoint's reward head on them, calibrates, and says what both
checkpoints make of the rollouts that were held out. The arm acts as before: the rest of the policy is frozen.
ARGS="--policy.train_reward_head_only=false" trains it too, on the actions of successes; that can make the arm worse.
The first checkpoint, the demonstrations and the rollouts stay as they are.
"""

import shared.loading  # noqa: F401  # isort: skip

import argparse
import json
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from improving.compare import measure, table, watch
from improving.merge import REPO_ID, merge, save_labels, shifted
from improving.outcomes import Outcome, read_outcomes, split
from shared.checkpoint import RUNS, find_policy, read_train_config
from shared.children import run_command, run_lerobot
from shared.cli import Parser, UserError, at_least, format_episodes, run_cli, say_next, warn
from shared.console import STOPPED
from shared.episodes import choose_episodes, load_meta
from shared.next_step import rollout_command
from shared.training import make_command, make_flags, show

from lerobot.datasets import LeRobotDatasetMetadata
from rewact.keypoints import REWARD_LABELS_PATH, read_label_file
from rewact.label_config import RewardLabelConfig
from rewact.labels import find_label_file

RIGHT_ENOUGH = 0.9  # share of the rollouts
PROPOSALS = ("exclude_proposed_labels", "accept_proposed_labels")


def parse_args() -> argparse.Namespace:
    # fmt: off
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", required=True, metavar="FOLDER",
        help="folder of the recorded rollouts, or their repo id in LeRobot's cache")
    parser.add_argument("--policy-path", metavar="PATH",
        help="the run or checkpoint that played them (default: the newest run)")
    parser.add_argument("--dataset", metavar="ID",
        help="the demonstrations (default: those that the policy was trained on)")
    parser.add_argument("--root",
        help="folder of the demonstrations, where it is not in LeRobot's cache or the Hub")
    parser.add_argument("--steps", type=int,
        help="training steps (default: half of the checkpoint's)")
    parser.add_argument("--output", type=Path,
        help="folder for the new run (default: outputs/train/NAME-improved-TIME)")
    parser.add_argument("--device",
        help="to compare on: cpu, cuda, … (default: an accelerator if there is one)")
    parser.add_argument("--args", default="",
        help="further lerobot-train flags in one string; they win over the others")
    # fmt: on
    args = parser.parse_args()
    if args.steps is not None:
        at_least(parser, args, steps=1)
    return args


def proposal_settings(extra: list[str]) -> RewardLabelConfig:
    """What the user's lerobot-train flags say about labels that nobody has accepted."""
    exclude, accept = (f"--dataset.{name}=true" in extra for name in PROPOSALS)
    try:
        return RewardLabelConfig(exclude_proposed_labels=exclude, accept_proposed_labels=accept)
    except ValueError as error:
        raise UserError(str(error)) from error


def find_rollouts(where: str) -> LeRobotDatasetMetadata:
    folder = Path(where).expanduser()
    if folder.is_dir():
        return load_meta(f"local/{folder.resolve().name}", folder)
    return load_meta(where, None)


def demonstration_labels(meta: LeRobotDatasetMetadata, trained: dict[str, Any]) -> dict[int, Any]:
    """The entries of the label file that the demonstrations were trained with, empty without one."""
    source = trained.get("reward_source") or "labels"
    if source == "progress":
        return {}
    if source != "labels":
        raise UserError(
            f"the policy was trained with --dataset.reward_source={source}, which rollouts do not have: make a label file "
            "of it (make label), and train on that first."
        )
    file = Path(trained["reward_labels"]) if trained.get("reward_labels") else find_label_file(meta)
    return {} if file is None else read_label_file(file)[0]


def little_to_learn(outcomes: dict[int, Outcome]) -> str | None:
    """A warning if the policy was right about nearly all rollouts, None otherwise."""
    right = [outcome.foreseen is True for outcome in outcomes.values()]
    if sum(right) < RIGHT_ENOUGH * len(right):
        return None
    return (
        f"the policy was right about {sum(right)} of {len(right)} rollouts: there is little to learn, and training on can "
        "cost stops that it makes now. Compare both on new rollouts before you use the new one."
    )


def train_flags(checkpoint: Path, root: Path, episodes: list[int], steps: int, output: Path) -> list[str]:
    """lerobot-train's flags that go on from a checkpoint, with its own settings where this says nothing else."""
    config = checkpoint / "train_config.json"
    flags = {
        **({"config_path": str(config), "resume": "false"} if config.is_file() else {}),
        "policy.path": str(checkpoint),
        "policy.push_to_hub": "false",
        "dataset.repo_id": REPO_ID,
        "dataset.root": str(root),
        "dataset.revision": "null",
        "dataset.episodes": str(episodes),
        "dataset.eval_split": "0",
        "dataset.reward_source": "labels",
        "dataset.reward_labels": str(root / REWARD_LABELS_PATH),
        "dataset.mask_failed_actions": "true",
        "policy.train_reward_head_only": "true",
        "steps": str(steps),
        "save_freq": str(steps),
        "output_dir": str(output),
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def count(episodes: list[int], outcomes: dict[int, Outcome]) -> str:
    failed = sum(not outcomes[i].success for i in episodes)
    return f"{format_episodes(episodes)} (successes: {len(episodes) - failed}, failures: {failed})"


def train(
    checkpoint: Path, root: Path, episodes: list[int], steps: int, output: Path, extra: list[str]
) -> Path:
    """Train on from a checkpoint. Returns the new one; a failed training ends this command with its exit code."""
    flags = train_flags(checkpoint, root, episodes, steps, output)
    command, _ = make_command(make_flags(REPO_ID), flags + extra)
    print(show(command), flush=True)
    if code := run_lerobot(command):
        sys.exit(code)
    return output / "checkpoints" / "last" / "pretrained_model"


def calibrate(checkpoint: Path, successes: list[int]) -> None:
    script = Path(__file__).with_name("calibrate.py")
    episodes = ["--episodes", format_episodes(successes)]
    code = run_command([sys.executable, script, "--policy-path", checkpoint, *episodes])
    if code == STOPPED:
        sys.exit(code)
    if code:
        warn(
            "the new checkpoint is not calibrated, so it cannot stop by itself. It is compared all the same."
        )


def compare(
    checkpoints: dict[str, Path],
    meta: LeRobotDatasetMetadata,
    outcomes: dict[int, Outcome],
    demos: list[int],
    device: str | None,
) -> dict[str, dict[str, str]]:
    """The rows of the table by checkpoint.

    Args:
        checkpoints: by the name of their column.
        meta: of the merged dataset.
        outcomes: of the held-out rollouts, by their index there.
        demos: the held-out demonstrations.
        device: as in `load_policy`.
    """
    columns = {}
    for title, checkpoint in checkpoints.items():
        seen = watch(checkpoint, meta, str(meta.root), [*outcomes, *demos], device)
        of_rollouts = {i: seen[i] for i in outcomes}
        columns[title] = measure(of_rollouts, outcomes, {i: seen[i] for i in demos})
    return columns


def new_folders(name: str, output: Path | None) -> tuple[Path, Path]:
    """Where the run goes, and the merged dataset; neither is there yet."""
    output = output or RUNS / f"{name}-improved-{datetime.now():%Y%m%d-%H%M%S}"
    folder = Path("outputs/improve") / output.name
    for each in (output, folder):
        if each.exists():
            raise UserError(f"{each} already exists: name another run with OUTPUT=, or remove it.")
    return output, folder


def main() -> None:
    args = parse_args()
    extra = shlex.split(args.args)
    before, name = find_policy(args.policy_path)
    config = read_train_config(before) or {}
    trained = config.get("dataset") or {}
    if args.dataset is None and not trained:
        raise UserError(f"{before} does not say what it was trained on: name it with DATASET=.")
    same = args.dataset in (None, trained.get("repo_id"))
    meta = load_meta(args.dataset or trained["repo_id"], args.root or (trained.get("root") if same else None))
    rollouts = find_rollouts(args.rollouts)
    outcomes = read_outcomes(rollouts, proposal_settings(extra))
    chosen, held_out = split(outcomes)
    labels = demonstration_labels(meta, trained)
    # Of other demonstrations than the checkpoint's, none is held out.
    demonstrations = choose_episodes(config, meta).trained_on or list(range(meta.total_episodes))
    print(f"policy          {before}")
    print(f"demonstrations  {meta.repo_id} at {meta.root}: to train on {format_episodes(demonstrations)}")
    print(f"rollouts        {rollouts.repo_id} at {rollouts.root}")
    print(f"                to train on {count(chosen, outcomes)}")
    print(f"                held out    {count(held_out, outcomes)}", flush=True)

    if warning := little_to_learn(outcomes):
        warn(warning)

    output, folder = new_folders(name, args.output)
    root = merge(meta, rollouts, folder)
    n = meta.total_episodes  # a rollout's index in the merged dataset is this much higher
    save_labels(root, labels, {i: outcome.entry for i, outcome in outcomes.items()}, n)
    print(f"joined          {root}", flush=True)
    steps = args.steps or max(1, config.get("steps", 10000) // 2)
    after = train(before, root, demonstrations + shifted(chosen, n), steps, output, extra)

    left = [i for i in range(n) if i not in demonstrations and not is_unfit(labels.get(i, {}))]
    merged_outcomes = {n + i: outcomes[i] for i in held_out}
    if left:  # not on the rollouts, which are to say how good the threshold is
        calibrate(after, left)
    else:
        warn("no demonstration is held out: the threshold comes from the rollouts that it is measured on.")
        calibrate(after, [i for i, outcome in merged_outcomes.items() if outcome.success])
    merged = load_meta(REPO_ID, root)
    columns = compare({"before": before, "after": after}, merged, merged_outcomes, left, args.device)
    print(f"\nHeld out (rollouts: {len(held_out)}, demonstrations: {len(left)}):\n{table(columns)}")
    (after / "improvement.json").write_text(json.dumps(columns, indent=1) + "\n")
    print(f"\nCheckpoint: {after}")
    say_next(f"let it run: {rollout_command(after, merged)}")


def is_unfit(entry: dict[str, Any]) -> bool:
    """Whether a label says that an episode is no success, or is left out."""
    return (
        bool(entry.get("exclude")) or entry.get("failed_at") is not None or entry.get("outcome") == "failure"
    )


if __name__ == "__main__":
    run_cli(main)
