"""One dataset that is being labelled, with everything that the page shows of it.

session = make_session(load_meta("me/cups", root), policy_path="outputs/train/cups")
session.data()                           # what the page asks for once
session.labels(session.store.read())     # the labels and their version
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.cli import UserError, warn

from labelling.frames import Cameras, NotThereError
from labelling.signals import Signals
from labelling.store import LabelStore, Snapshot, choose_place, in_hub_cache, page_label
from labelling.tools import suggest_gripper
from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
from rewact.keypoints import RewardLabelError, parse_entry


@dataclass
class Session:
    """A dataset, its label file, and what helps to label it.

    Attributes:
        suggestions: by episode index, entries of a label file for a person to accept.
        predictor: labelling.predict.Predictor; None without a policy.
        gripper: the feature with the gripper's position, and its index there.
        interpolation: how the page draws the curve between keypoints at first: linear or pchip.
    """

    meta: LeRobotDatasetMetadata
    store: LabelStore
    suggestions: dict[int, dict[str, Any]] = field(default_factory=dict)
    predictor: Any = None
    gripper: tuple[str, int] = ("action", -1)
    interpolation: str = "linear"
    cameras: Cameras = field(init=False)
    signals: Signals = field(init=False)
    differences: Any = field(
        init=False, default=None
    )  # labelling.differences.Differences; None without a policy

    def __post_init__(self) -> None:
        self.cameras = Cameras(self.meta)
        self.signals = Signals(self.meta, self.gripper)
        if self.predictor is not None:
            from labelling.differences import Differences  # imports the policies, as the predictor does

            self.differences = Differences(self.store, self.predictor)

    @property
    def name(self) -> str:
        """Differs from that of another dataset that is later served on the same port."""
        return f"{self.meta.repo_id} at {Path(self.meta.root).resolve()}"

    def data(self) -> dict[str, Any]:
        """What does not change while the page is open."""
        lengths, fps = self.store.lengths, self.meta.fps
        place = self.store.place
        suggested = {
            index: page_label(parse_entry(entry, lengths[index], fps, f"suggestion for episode {index}"))
            for index, entry in self.suggestions.items()
        }
        return {
            "session": self.name,
            "repo_id": self.meta.repo_id,
            "root": str(self.meta.root),
            "fps": fps,
            "lengths": lengths,
            "tasks": [", ".join(tasks) for tasks in self.meta.episodes["tasks"]],
            "cameras": self.cameras.describe(),
            "videos": self.cameras.starts(),
            "place": {"path": str(place.path), "why": place.why, "flag": place.flag},
            "policy": None if self.predictor is None else self.predictor.name,
            "suggestions": suggested,
            "signals": self.signals.describe(),
            "interpolation": self.interpolation,
        }

    def labels(self, now: Snapshot) -> dict[str, Any]:
        """One version of the label file."""
        path = self.store.place.path.resolve()
        return {
            "version": now.version,
            "labels": {index: page_label(label) for index, label in now.labels.items()},
            "backup": path.with_name(path.name + ".bak").exists(),
        }


def make_session(
    meta: LeRobotDatasetMetadata,
    labels: Path | None = None,
    policy_path: str | None = None,
    gripper: tuple[str, int] = ("action", -1),
    interpolation: str = "linear",
) -> Session:
    """A session on a dataset, or a UserError.

    Args:
        meta: the dataset's metadata; missing videos are downloaded.
        labels: the label file, if the user names one.
        policy_path: a training run, a checkpoint or a Hub id whose predictions the page shows as well.
        gripper: the feature with the gripper's position and its index there, for suggestions.
        interpolation: how the page draws the curve between keypoints at first.
    """
    meta = with_videos(meta)
    store = LabelStore(
        choose_place(meta, labels), [int(n) for n in meta.episodes["length"]], meta.fps, meta.repo_id
    )
    try:
        store.read()
    except RewardLabelError as error:
        raise UserError(f"{error} Correct it first, or name another file with --labels.") from error
    predictor = None
    if policy_path is not None:
        from labelling.predict import (
            Predictor,  # imports the policies, which a page without one does not need
        )

        predictor = Predictor(policy_path, meta)
    return Session(meta, store, suggestions(meta, *gripper), predictor, gripper, interpolation)


def with_videos(meta: LeRobotDatasetMetadata) -> LeRobotDatasetMetadata:
    """The metadata, after downloading the files that the page shows: of a Hub dataset only meta/ may be here."""
    if not meta.total_episodes:
        raise UserError(f"'{meta.repo_id}' at {meta.root} has no episodes.")
    if not meta.camera_keys:
        raise UserError(f"'{meta.repo_id}' has no cameras, so there is nothing to look at.")
    cameras = Cameras(meta)
    try:
        missing = [path for path in cameras.needed() if not path.is_file()]
        if missing and in_hub_cache(Path(meta.root)):
            print(f"fetching  {len(missing)} files of {meta.repo_id} …", flush=True)
            meta = LeRobotDataset(meta.repo_id, revision=meta.revision).meta
            missing = [path for path in Cameras(meta).needed() if not path.is_file()]
    except NotThereError as error:
        raise UserError(f"'{meta.repo_id}': {error}") from error
    except Exception as error:  # the Hub's client raises many unrelated types
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"the videos of '{meta.repo_id}' cannot be fetched: {reason}") from error
    for path in missing:
        warn(f"{path} is missing: its episodes are shown without it")
    return meta


def suggestions(meta: LeRobotDatasetMetadata, key: str, dim: int) -> dict[int, dict[str, Any]]:
    """Labels proposed from the gripper; none if the dataset lacks the default feature, `action`."""
    if key == "action" and key not in meta.features:
        return {}
    found = suggest_gripper(Path(meta.root), meta.fps, key, dim)
    return {index: entry for index, entry in found.items() if entry is not None}
