"""Reward heads on one frozen trunk: what each part of the head does, and what labelled failures do.

The trunk is that of the benchmark's "ours", whose own head helped to shape it, so these are ablations of the head
and no full training runs. Every head is trained for the same steps on the same frames. It is judged by the reward of one
frame alone, and by that of the filter, which is fitted to the same labels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from shared.checkpoint import load_policy
from shared.cli import UserError
from shared.metrics import mae
from shared.predict import observe
from simulation.benchmark_data import load_truth
from torch import Tensor, nn

from benchmarking.curves import BATCH_SIZE
from benchmarking.labelled import KINDS, LABELLED, failed_at, failures_to_label
from benchmarking.recordings import Frames, read_episodes
from benchmarking.runs import checkpoint_of, run_folder
from benchmarking.tasks import simulated_task
from rewact.evaluation import auroc
from rewact.head import DecoderRewardHead, RewardEvidence, RewardHead
from rewact.progress import progress_reward
from rewact.tracker import FilterTracker

EVERY = 4  # a head looks at every fourth frame
STEPS = 800
OURS = "observation tokens, squared error and bins (ours)"


@dataclass
class Tokens:
    """What the heads read of an episode's frames.

    Attributes:
        observation: (S, T, D) tokens in front of the encoder: the latent, the robot's state, the images.
        decoded: (T, D) the decoder's output for its first query; the latent is zero as at inference.
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
        policy.model.reward_head.register_forward_pre_hook(lambda _, args: seen.append(args[1:3])),
        policy.model.action_head.register_forward_pre_hook(lambda _, args: decoded.append(args[0][:, 0])),
    ]
    for some in rows.split(BATCH_SIZE):
        inputs = frames.inputs(some)
        policy.predict_action_chunk(observe(preprocessor, inputs))
    for hook in hooks:
        hook.remove()
    tokens = torch.cat([tokens for tokens, _ in seen], dim=1)
    return Tokens(tokens, torch.cat(decoded), rows.numpy()), seen[0][1]


class DecoderHead(DecoderRewardHead):
    """The original's head, which reads the decoder's output for its first query."""

    def logits(self, tokens: Tokens, rows: Tensor) -> Tensor:
        return self(None, None, None, tokens.decoded[rows, None], {}).logits


class ObservationHead(RewardHead):
    """The head of RewACT with another loss, or with fewer tokens.

    Args:
        config: of the policy.
        position: (S, 1, D) positions of the tokens.
        mean, bins: whether the squared error of the mean and the cross entropy of the bins are in the loss.
        state: whether it sees the token of the robot's state.
    """

    def __init__(self, config, position: Tensor, mean: bool = True, bins: bool = True, state: bool = True):
        super().__init__(config)
        self.mean, self.bins = mean, bins
        self.seen = [i for i in range(1, len(position)) if state or i != 1]  # without the latent
        self.position = position[self.seen]

    def logits(self, tokens: Tokens, rows: Tensor) -> Tensor:
        return self.read(tokens.observation[self.seen][:, rows], self.position)

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        error = F.mse_loss(self.value(logits), label, reduction="none")
        if not self.bins:
            return error
        both = super().loss(logits, label)
        return both if self.mean else both - error


def train(head: nn.Module, tokens: Tokens, labels: Tensor) -> nn.Module:
    """Fit a head to the labels (T,) of the tokens."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
    for _ in range(STEPS):
        rows = torch.randint(len(labels), (64,))
        loss = head.loss(head.logits(tokens, rows), labels[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head.eval()


def join(episodes: list[Tokens]) -> Tokens:
    """The tokens of several episodes as those of one."""
    return Tokens(
        torch.cat([e.observation for e in episodes], dim=1),
        torch.cat([e.decoded for e in episodes]),
        np.concatenate([e.frames for e in episodes]),
    )


def progress_label(length: int) -> np.ndarray:
    """The labels (length,) of an episode that succeeds."""
    return progress_reward(np.arange(length), length)


def failure_label(truth: dict) -> np.ndarray:
    """The labels (N,) of an episode that fails: progress as if it succeeded, and 0 from the failure on."""
    label = progress_label(len(truth["phase"]))
    return np.where(np.arange(len(label)) < failed_at(truth), label, 0)


@torch.no_grad()
def judge(head: nn.Module, held_out: list[tuple[Tokens, dict]]) -> dict[str, float | None]:
    """The metrics of a head on held-out episodes, given as tokens and truth. Those of the filter end in "_filter"."""
    logits = [head.logits(tokens, torch.arange(len(tokens.frames))) for tokens, _ in held_out]
    metrics = metrics_of([head.value(each).numpy() for each in logits], held_out)
    if isinstance(head, RewardHead):
        filtered = [follow(head, each, tokens) for each, (tokens, _) in zip(logits, held_out, strict=True)]
        metrics |= {f"{name}_filter": value for name, value in metrics_of(filtered, held_out).items()}
    return metrics


def follow(head: RewardHead, logits: Tensor, tokens: Tokens) -> np.ndarray:
    """The rewards (T,) of the head's filter along an episode with (T, n_bins) logits."""
    tracker = FilterTracker(head)
    steps = np.diff(tokens.frames, prepend=-1)
    return np.array(
        [
            float(tracker(RewardEvidence(row[None]), int(step)))
            for row, step in zip(logits, steps, strict=True)
        ]
    )


def metrics_of(rewards: list[np.ndarray], held_out: list[tuple[Tokens, dict]]) -> dict[str, float | None]:
    """The metrics of the rewards (T,) of held-out episodes."""
    final = {
        kind: [r[-1] for r, (_, truth) in zip(rewards, held_out, strict=True) if truth["kind"] == kind]
        for kind in ("success", *KINDS)
    }
    errors = [
        mae(reward, truth["phase"][tokens.frames])
        for reward, (tokens, truth) in zip(rewards, held_out, strict=True)
        if truth["kind"] == "success"
    ]
    metrics: dict[str, float | None] = {"mae": float(np.mean(errors))}
    for kind, values in final.items():
        metrics[f"final_{kind}"] = float(np.mean(values))
        if kind != "success":
            successes = final["success"]
            positive = [True] * len(successes) + [False] * len(values)
            metrics[f"auroc_{kind}"] = auroc(successes + values, positive)
    return metrics


def measure(name: str, seed: int, folder: Path) -> dict[str, dict]:
    """Train and judge every head.

    Args:
        name: of the task whose trunk it is.
        seed: of the trunk's training run, and of the heads'.
        folder: the benchmark's.
    Returns:
        The metrics by head.
    """
    checkpoint = checkpoint_of(run_folder(folder, name, seed, "ours"))
    if not checkpoint.is_dir():
        raise UserError(f"no trunk at {checkpoint}: run make benchmark first.")
    task = simulated_task(name, folder / "data" / name)
    policy, preprocessor, _ = load_policy(checkpoint)
    demonstrations = []
    for frames in read_episodes(task.train):
        tokens, position = read(policy, preprocessor, frames)
        demonstrations.append(tokens)
    held_out = [
        (read(policy, preprocessor, frames)[0], truth)
        for frames, truth in zip(task.read_held_out(), task.truth, strict=True)
        if truth["kind"] in ("success", *KINDS)
    ]
    labelled = failures_to_label(name, folder)
    failures: dict[str, list[tuple[Tokens, dict]]] = {kind: [] for kind in KINDS}
    for frames, truth in zip(read_episodes(labelled), load_truth(labelled), strict=True):
        if truth["kind"] in KINDS:
            failures[truth["kind"]].append((read(policy, preprocessor, frames)[0], truth))
    labels = [progress_label(length) for length in task.train_lengths]
    config = policy.config

    def fit(make: Callable[[], nn.Module], shown: list[Tokens], labels: list[np.ndarray]) -> nn.Module:
        """Fit a head, and its filter if it has one, to the frames shown of episodes with these labels (N,)."""
        torch.manual_seed(seed)
        seen = [label[tokens.frames] for label, tokens in zip(labels, shown, strict=True)]
        head = train(make(), join(shown), torch.from_numpy(np.concatenate(seen)).float())
        if isinstance(head, RewardHead):
            head.filter.fit([torch.from_numpy(label) for label in labels])
        return head

    heads: dict[str, Callable[[], nn.Module]] = {
        "decoder query, squared error (the original's)": lambda: DecoderHead(config),
        OURS: lambda: ObservationHead(config, position),
        "squared error alone": lambda: ObservationHead(config, position, bins=False),
        "bins alone": lambda: ObservationHead(config, position, mean=False),
        "without the robot's state": lambda: ObservationHead(config, position, state=False),
    }
    rows = {}
    for name, make in heads.items():
        rows[name] = judge(fit(make, demonstrations, labels), held_out)
        print(name, rows[name], flush=True)
    for n in LABELLED:
        known = [failure for kind in KINDS for failure in failures[kind][:n]]
        head = fit(
            heads[OURS],
            demonstrations + [tokens for tokens, _ in known],
            labels + [failure_label(truth) for _, truth in known],
        )
        name = f"ours, and {n} labelled failure{'s' * (n > 1)} of each kind"
        rows[name] = judge(head, held_out)
        print(name, rows[name], flush=True)
    return rows


def table(rows: dict[str, dict]) -> str:
    """The metrics by head."""
    columns = {"mae": "MAE", "auroc_ghost": "AUROC ghost", "auroc_miss": "AUROC miss",
        "final_success": "final, success", "final_ghost": "final, ghost", "final_miss": "final, miss",
        "mae_filter": "filter: MAE", "auroc_ghost_filter": "AUROC ghost", "auroc_miss_filter": "AUROC miss"}  # fmt: skip
    lines = ["| head | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [
        f"| {row} | " + " | ".join(f"{f[key]:.3f}" if key in f else "" for key in columns) + " |"
        for row, f in rows.items()
    ]
    return "\n".join(lines) + "\n"
