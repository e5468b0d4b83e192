#!/usr/bin/env python
"""Compare reward heads on one frozen trunk: what each part of the head does, and what labelled failures do.

    python scripts/benchmark_heads.py --task drawer-open-v3     # after `make benchmark` has trained "ours" there

The trunk is that of the benchmark's "ours", whose own head had a part in shaping it, so these are ablations of the head and
no full trainings. Every head is trained for the same steps on the same frames, and judged by the reward of
one frame alone. Writes heads.json and heads.md beside the benchmark's results.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from benchmark_predict import BATCH_SIZE, Frames, load, observe, read_episodes
from cli import UserError, run_cli
from reward_metrics import auroc
from simulation.benchmark_data import load_truth
from simulation.benchmark_scenes import TASKS
from torch import Tensor, nn

from lerobot.datasets.reward_labels import progress_reward
from lerobot.policies.act.reward_head import DecoderRewardHead, RewardHead

EVERY = 4  # frames between two that are looked at
STEPS = 800
LABELLED = (1, 3, 6)  # failures of each kind that are labelled
KINDS = ("ghost", "miss")  # the failures that the arm's pose does not give away


@dataclass
class Tokens:
    """What heads read of an episode's frames.

    Attributes:
        observation: (S, T, D) tokens before the encoder, without the latent; the first is the robot's state.
        decoded: (T, D) the decoder's first query, the latent zero as at inference.
        frames: (T,) indices of the frames in the episode.
    """

    observation: Tensor
    decoded: Tensor
    frames: np.ndarray


@torch.no_grad()
def read(policy: nn.Module, preprocessor: Callable, frames: Frames) -> tuple[Tokens, Tensor]:
    """The tokens of every EVERY-th frame and of the last, and the tokens' positions (S, 1, D)."""
    length = len(frames.state)
    rows = torch.tensor(sorted({*range(0, length, EVERY), length - 1}))
    seen: list[tuple[Tensor, Tensor]] = []
    decoded: list[Tensor] = []
    hooks = [
        policy.model.reward_head.register_forward_pre_hook(lambda _, args: seen.append(args[:2])),
        policy.model.action_head.register_forward_pre_hook(lambda _, args: decoded.append(args[0][:, 0])),
    ]
    for some in rows.split(BATCH_SIZE):
        policy.predict_action_chunk(observe(policy, preprocessor, frames.images[some], frames.state[some]))
    for hook in hooks:
        hook.remove()
    tokens = torch.cat([tokens for tokens, _ in seen], dim=1)
    return Tokens(tokens, torch.cat(decoded), rows.numpy()), seen[0][1]


class DecoderHead(DecoderRewardHead):
    """The original's head, on what the decoder's first query has become."""

    def logits(self, tokens: Tokens, rows: Tensor) -> Tensor:
        return self(tokens.decoded[rows, None]).logits


class ObservationHead(RewardHead):
    """The head of RewACT with the loss or the tokens changed.

    Args:
        mean, bins: whether the squared error of the mean and the cross entropy of the bins are in the loss.
        state: whether it sees the token of the robot's state.
    """

    def __init__(self, config, position: Tensor, mean: bool = True, bins: bool = True, state: bool = True):
        super().__init__(config)
        self.position, self.mean, self.bins, self.first = position, mean, bins, 0 if state else 1

    def logits(self, tokens: Tokens, rows: Tensor) -> Tensor:
        return self(tokens.observation[self.first :, rows], self.position[self.first :], [], None).logits

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        error = F.mse_loss(self.value(logits), label, reduction="none")
        if not self.bins:
            return error
        both = super().loss(logits, label)
        return both if self.mean else both - error


def train(head: nn.Module, tokens: Tokens, labels: Tensor) -> nn.Module:
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
    for _ in range(STEPS):
        rows = torch.randint(len(labels), (64,))
        loss = head.loss(head.logits(tokens, rows), labels[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head.eval()


def join(episodes: list[Tokens]) -> Tokens:
    return Tokens(
        torch.cat([e.observation for e in episodes], dim=1),
        torch.cat([e.decoded for e in episodes]),
        np.concatenate([e.frames for e in episodes]),
    )


def failed_at(truth: dict) -> int:
    """The frame at which a person would see that it fails: the hand is at the object, or half way through."""
    near = np.flatnonzero(truth["stage"] >= 1)
    return int(near[0]) if len(near) else int(np.argmax(truth["phase"] >= 0.5))


def failure_label(tokens: Tokens, truth: dict) -> np.ndarray:
    """Progress as if it were to succeed, and 0 from the failure on."""
    label = progress_reward(tokens.frames, len(truth["phase"]), 0.05, 0.95)
    return np.where(tokens.frames < failed_at(truth), label, 0)


def judge(head: nn.Module, held_out: list[tuple[Tokens, dict]]) -> dict[str, float | None]:
    with torch.no_grad():
        rewards = [
            head.value(head.logits(tokens, torch.arange(len(tokens.frames)))).numpy()
            for tokens, _ in held_out
        ]
    of_kind = {
        kind: [r for r, (_, truth) in zip(rewards, held_out, strict=True) if truth["kind"] == kind]
        for kind in ("success", *KINDS)
    }
    errors = [
        np.abs(reward - truth["phase"][tokens.frames]).mean()
        for reward, (tokens, truth) in zip(rewards, held_out, strict=True)
        if truth["kind"] == "success"
    ]
    figures = {"mae": float(np.mean(errors))}
    for kind, curves in of_kind.items():
        figures[f"final_{kind}"] = float(np.mean([curve[-1] for curve in curves]))
        if kind != "success":
            figures[f"auroc_{kind}"] = auroc([c[-1] for c in of_kind["success"]], [c[-1] for c in curves])
    return figures


def measure(task: str, seed: int, folder: Path) -> dict[str, dict]:
    data = folder / "data" / task
    checkpoint = folder / "runs" / task / f"seed{seed}" / "ours/checkpoints/last/pretrained_model"
    if not checkpoint.is_dir():
        raise UserError(f"no trunk at {checkpoint}: run make benchmark first.")
    policy, preprocessor, _ = load(checkpoint)
    truths = {name: load_truth(data / name) for name in ("train", "success", "failures")}
    seen: dict[str, list[Tokens]] = {name: [] for name in truths}
    for name, truth in truths.items():
        wanted = [i for i, t in enumerate(truth) if t["kind"] in ("train", "success", *KINDS)]
        truths[name] = [truth[i] for i in wanted]
        for frames in read_episodes(data / name, wanted):
            tokens, position = read(policy, preprocessor, frames)
            seen[name].append(tokens)
    labels = [
        progress_reward(tokens.frames, len(truth["phase"]), 0.05, 0.95)
        for tokens, truth in zip(seen["train"], truths["train"], strict=True)
    ]
    demonstrations, labels = join(seen["train"]), torch.from_numpy(np.concatenate(labels)).float()
    held_out = [
        (t, truth) for n in ("success", "failures") for t, truth in zip(seen[n], truths[n], strict=True)
    ]
    config = policy.config

    def fit(
        make: Callable[[], nn.Module], tokens: Tokens = demonstrations, labels: Tensor = labels
    ) -> nn.Module:
        torch.manual_seed(seed)
        return train(make(), tokens, labels)

    heads: dict[str, Callable[[], nn.Module]] = {
        "decoder query, squared error (the original's)": lambda: DecoderHead(config),
        "observation tokens, squared error and bins (ours)": lambda: ObservationHead(config, position),
        "squared error alone": lambda: ObservationHead(config, position, bins=False),
        "bins alone": lambda: ObservationHead(config, position, mean=False),
        "without the robot's state": lambda: ObservationHead(config, position, state=False),
    }
    rows = {}
    for name, make in heads.items():
        rows[name] = judge(fit(make), held_out)
        print(name, rows[name], flush=True)
    for n in LABELLED:
        of_kind = {kind: [i for i, t in enumerate(truths["failures"]) if t["kind"] == kind] for kind in KINDS}
        known = {i for indices in of_kind.values() for i in indices[:n]}
        shown = [seen["failures"][i] for i in sorted(known)]
        their = [failure_label(seen["failures"][i], truths["failures"][i]) for i in sorted(known)]
        tokens = join([demonstrations, *shown])
        head = fit(
            heads["observation tokens, squared error and bins (ours)"],
            tokens,
            torch.cat([labels, torch.from_numpy(np.concatenate(their)).float()]),
        )
        others = [(seen["failures"][i], t) for i, t in enumerate(truths["failures"]) if i not in known]
        name = f"ours, and {n} labelled failure{'s' * (n > 1)} of each kind"
        rows[name] = judge(head, held_out[: len(seen["success"])] + others)
        print(name, rows[name], flush=True)
    return rows


def table(rows: dict[str, dict]) -> str:
    columns = {"mae": "MAE", "auroc_ghost": "AUROC ghost", "auroc_miss": "AUROC miss",
        "final_success": "final, success", "final_ghost": "final, ghost", "final_miss": "final, miss"}  # fmt: skip
    lines = ["| head | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [
        f"| {row} | " + " | ".join(f"{f[key]:.3f}" for key in columns) + " |" for row, f in rows.items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, default=TASKS[0],
        help="the task whose trunk it is")
    parser.add_argument("--seed", type=int, default=1000,
        help="of the trunk's training, and of the heads'")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark"),
        help="that of make benchmark")
    args = parser.parse_args()
    # fmt: on
    rows = measure(args.task, args.seed, args.output_dir)
    config = {"task": args.task, "seed": args.seed, "steps": STEPS, "every": EVERY}
    (args.output_dir / "heads.json").write_text(json.dumps({"config": config, "rows": rows}, indent=1))
    (args.output_dir / "heads.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    run_cli(main)
