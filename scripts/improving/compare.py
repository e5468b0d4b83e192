"""What two checkpoints say about the same held-out episodes.

seen = {name: watch(folder, meta, root, episodes) for name, folder in checkpoints.items()}
print(table(...))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from shared.predict import Loaded, load_with_dataset, predict_frames
from tqdm import tqdm

from improving.outcomes import Outcome
from lerobot.datasets import LeRobotDatasetMetadata
from rewact.evaluation import auroc
from rewact.stopping import HOLD_S, StopRule, hold_frames

# A recording ends where its own policy stopped. Another one may stop a little later, so the last frame is shown longer.
REST_S = 3.0


@dataclass
class Seen:
    """What a policy says about an episode.

    Attributes:
        final: the reward of the last frame.
        stopped: whether the reward would have ended it as done, None without a threshold.
        alarm: whether ok fell below 0.5.
    """

    final: float
    stopped: bool | None
    alarm: bool


def watch(
    folder: Path, meta: LeRobotDatasetMetadata, root: str, episodes: list[int], device: str | None = None
) -> dict[int, Seen]:
    """What the policy in `folder` says about each episode; arguments as in `load_with_dataset`."""
    loaded = load_with_dataset(folder, meta, root, episodes, device)
    return {episode: see(loaded, episode) for episode in tqdm(episodes, unit="episode", leave=False)}


def see(loaded: Loaded, episode: int) -> Seen:
    fps = loaded.dataset.meta.fps
    rest = round(REST_S * fps)
    frames = [(frame.reward, frame.ok) for frame in predict_frames(loaded, episode, rest=rest)]
    reward, ok = np.array(frames).T  # (T + rest,)
    threshold = loaded.policy.config.reward_stop_threshold
    stopped = None
    if threshold is not None:
        bayes = loaded.policy.model.reward_head.filter
        rule = StopRule(threshold, hold_frames(HOLD_S, fps), 0 if bayes is None else int(bayes.earliest))
        stopped = any(rule(value) for value in reward)
    end = len(reward) - rest
    return Seen(float(reward[end - 1]), stopped, bool((ok[:end] < 0.5).any()))


def share(flags: Sequence[bool | None]) -> str:
    """How many of them are true: "2 of 7"."""
    if not flags or None in flags:
        return "n/a"
    return f"{flags.count(True)} of {len(flags)}"


def measure(
    seen: Mapping[int, Seen], outcomes: Mapping[int, Outcome], demonstrations: Mapping[int, Seen]
) -> dict[str, str]:
    """The rows of the table for one checkpoint.

    Args:
        seen, outcomes: of the held-out rollouts, by episode.
        demonstrations: of the held-out demonstrations, all of them successes.
    """
    successes = [seen[i] for i in seen if outcomes[i].success]
    failures = {i: each for i, each in seen.items() if not outcomes[i].success}
    rows = {}
    for kind in sorted({outcomes[i].kind for i in failures}):
        of_kind = [each for i, each in failures.items() if outcomes[i].kind == kind]
        both = [*successes, *of_kind]
        value = auroc([each.final for each in both], [True] * len(successes) + [False] * len(of_kind))
        rows[f"AUROC, failures {kind} ({len(of_kind)})"] = "n/a" if value is None else f"{value:.2f}"
    for name, group in (("successes", successes), ("failures", list(failures.values()))):
        rows[f"final reward of {name}"] = f"{np.mean([each.final for each in group]):.2f}" if group else "n/a"
    rows["failures stopped as done (false stops)"] = share([each.stopped for each in failures.values()])
    rows["failures with an alarm"] = share([each.alarm for each in failures.values()])
    rows["successes never stopped (missed stops)"] = share(missed(successes))
    rows["successes with an alarm"] = share([each.alarm for each in successes])
    if demonstrations:
        held_out = list(demonstrations.values())
        rows["demonstrations never stopped"] = share(missed(held_out))
        rows["demonstrations with an alarm"] = share([each.alarm for each in held_out])
    return rows


def missed(seen: Sequence[Seen]) -> list[bool | None]:
    return [None if each.stopped is None else not each.stopped for each in seen]


def table(columns: Mapping[str, Mapping[str, str]]) -> str:
    """The rows of `measure` side by side, by the name of the column."""
    names = list(columns)
    rows = list(columns[names[0]])
    width = max(len(row) for row in rows)
    lines = [" " * width + "".join(f"{name:>12}" for name in names)]
    lines += [f"{row:{width}}" + "".join(f"{columns[name][row]:>12}" for name in names) for row in rows]
    return "\n".join(lines)
