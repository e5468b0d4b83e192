"""The label file that the page edits: where it lies, which version of it is known, and how a change is written.

    place = choose_place(meta)                       # inside the data set, or outputs/labels
    store = LabelStore(place, lengths, fps, repo_id)
    now = store.read()                               # checked as training checks it
    store.save(now.version, {3: {"keypoints": [{"frame": 10, "reward": 0.5, "step": False}]}})

A version is the hash of the file's bytes: it outlives the server, and whoever else writes the file changes it. A
change to one episode leaves the entries of all others as they are in the file, to the letter.
"""

import fcntl
import hashlib
import os
import shlex
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub.constants import HF_HUB_CACHE
from label_tools import save_labels
from shared.cli import UserError

from lerobot.datasets import LeRobotDatasetMetadata
from lerobot.datasets.reward_keypoints import (
    REWARD_LABELS_PATH,
    EpisodeLabel,
    RewardLabelError,
    load_labels,
    parse_entry,
    read_label_file,
)
from lerobot.datasets.reward_labels import find_label_file
from lerobot.utils.constants import HF_LEROBOT_HUB_CACHE

LABELS_DIR = Path("outputs/labels")
LABEL_KEYS = ("keypoints", "failed_at", "outcome", "exclude")
POINT_KEYS = ("frame", "reward", "step")


class StaleError(Exception):
    """The file is not the one that the change was made to."""


@dataclass(frozen=True)
class Place:
    """Where labels are saved.

    Attributes:
        path: the file; it need not exist.
        start: the labels to begin with while it does not exist; None to begin without any.
        why: why it is there, for the person who labels.
        repo_id: what the file says it is for; None inside a data set, where it says so itself.
    """

    path: Path
    start: Path | None
    why: str
    repo_id: str | None

    @property
    def flag(self) -> str | None:
        """The flag with which training takes the file; None where it finds it by itself."""
        return f"--dataset.reward_labels={shlex.quote(str(self.path))}" if self.repo_id else None


def choose_place(meta: LeRobotDatasetMetadata, named: Path | None = None) -> Place:
    """Where to save the labels of a data set.

    Args:
        meta: its metadata.
        named: the file that the user names; None for the one inside the data set, or, where that is the Hub's
            cache or cannot be written, one in outputs/labels that starts from those in the data set.
    """
    inside = Path(meta.root) / REWARD_LABELS_PATH
    if named is not None:
        path = named.expanduser()
        if not is_writable(path):
            raise UserError(f"--labels {named} cannot be written: name another file.")
        return Place(path, None, "as --labels says", None if same_file(path, inside) else meta.repo_id)
    if in_hub_cache(Path(meta.root)):
        why = "the data set is in the Hub's cache, which is not for changes"
    elif not is_writable(inside):
        why = f"{inside} cannot be written"
    else:
        return Place(inside, None, "inside the data set, where training finds it", None)
    path = LABELS_DIR / f"{meta.repo_id.replace('/', '_')}.json"
    if not is_writable(path):
        raise UserError(f"{why}, and neither can {path}: name a file with --labels FILE.")
    return Place(path, find_label_file(meta), why, meta.repo_id)


def same_file(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def in_hub_cache(root: Path) -> bool:
    """Whether a folder is a snapshot of a download: what is put there is lost with the next revision."""
    root = root.resolve()
    caches = (HF_LEROBOT_HUB_CACHE, Path(HF_HUB_CACHE))
    is_snapshot = root.parent.name == "snapshots" and (root.parent.parent / "blobs").is_dir()
    return is_snapshot or any(root.is_relative_to(cache.resolve()) for cache in caches)


def nearest_folder(path: Path) -> Path:
    """The folder that holds a file, or the first above it that exists."""
    return next(folder for folder in path.resolve().parents if folder.is_dir())


def is_writable(path: Path) -> bool:
    """Whether a file may be made, or replaced."""
    if path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
        return False
    folder = nearest_folder(path)
    if any(parent.exists() and not parent.is_dir() for parent in path.resolve().parents):
        return False
    return os.access(folder, os.W_OK | os.X_OK)


@dataclass(frozen=True)
class Snapshot:
    """A label file as it was read.

    Attributes:
        version: the hash of its bytes; "" where there is no file.
        entries: as they are in the file, by episode index.
        labels: what they mean, by episode index.
        repo_id: the one that the file names.
    """

    version: str = ""
    entries: dict[int, Any] = field(default_factory=dict)
    labels: dict[int, EpisodeLabel] = field(default_factory=dict)
    repo_id: str | None = None


class LabelStore:
    """Reads and writes the label file of one data set."""

    def __init__(self, place: Place, lengths: Sequence[int], fps: float, repo_id: str):
        """
        Args:
            place: where it lies.
            lengths: the number of frames of every episode.
            fps: the data set's frames per second.
            repo_id: the data set's name.
        """
        self.place, self.lengths, self.fps, self.repo_id = place, list(lengths), fps, repo_id
        self._lock = threading.Lock()

    def version(self) -> str:
        try:
            return hashlib.sha256(self.place.path.read_bytes()).hexdigest()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise RewardLabelError(f"{self.place.path}: cannot read the labels: {error.strerror}.") from error

    def read(self) -> Snapshot:
        """The labels as they are now, or a RewardLabelError that says what is wrong with them."""
        while True:
            version = self.version()
            source = self.place.path if version else self.place.start
            if source is None:
                return Snapshot()
            labels = load_labels(source, self.lengths, self.fps, self.repo_id)
            entries, named = read_label_file(source)
            if self.version() == version:  # else somebody wrote it while it was read
                return Snapshot(version, entries, labels, named)

    def save(self, version: str, changes: Mapping[int, Any]) -> Snapshot:
        """Write what changed, if the file is still the one that it was changed in.

        Args:
            version: that of the file before the change.
            changes: by episode index the whole label, as `page_label` makes it; one that says nothing removes the
                entry.
        Returns:
            The file after it. A change that is there already is none: an answer may have been lost on its way.
        Raises:
            StaleError: If the file has another version.
            RewardLabelError: If a label is not valid, or the file is not any more. Nothing is written.
            OSError: If it cannot be written. The file is as it was.
        """
        with self._alone():
            now = self.read()
            entries = dict(now.entries)
            for index, label in changes.items():
                if index not in range(len(self.lengths)):
                    raise RewardLabelError(
                        f"episode {index} does not exist: the data set has episodes 0 to {len(self.lengths) - 1}."
                    )
                entry = self.entry(index, label, now)
                if entry is None:
                    entries.pop(index, None)
                else:
                    entries[index] = entry
            if entries == now.entries:
                return now
            if now.version != version:
                raise StaleError
            data: dict[str, Any] = {str(index): entries[index] for index in sorted(entries)}
            # A new file names its data set where it does not lie in it.
            named = now.repo_id if now.version or now.repo_id else self.place.repo_id
            if named is not None:
                data = {"repo_id": named, "episodes": data}
            save_labels(self.place.path.resolve(), data)  # of a link, what it points to
            return self.read()

    def entry(self, index: int, label: Any, now: Snapshot) -> dict[str, Any] | None:
        """The entry of an episode in the file, changed to what the page says; None if that is nothing.

        What did not change stays as it is in the file. A keypoint on a new frame gets the timestamp of that frame.
        """
        where = f"episode {index}"
        length, before = self.lengths[index], now.entries.get(index, {})
        label = {"keypoints": [], "failed_at": None, "outcome": None, "exclude": False} | checked(
            label, LABEL_KEYS, where
        )
        if not isinstance(label["keypoints"], list):
            raise RewardLabelError(f"{where}: 'keypoints' must be a list.")
        written = {}  # by frame, as it is in the file
        for point in before.get("keypoints", []):
            written[parse_entry({"keypoints": [point]}, length, self.fps).keypoints[0].frame_index] = point
        keypoints = []
        for i, point in enumerate(label["keypoints"]):
            point = checked(point, POINT_KEYS, f"{where}: keypoint {i}")
            frame, step = point.get("frame"), point.get("step", False)
            if type(frame) is not int:
                raise RewardLabelError(f"{where}: keypoint {i}: frame must be an integer.")
            new = written.get(frame, {"frame_index": frame, "timestamp": frame / self.fps})
            new = {**new, "reward": point.get("reward")}
            if step is not new.get("step", False):
                new["step"] = step
            keypoints.append((frame, new))
        if label["failed_at"] is not None and type(label["failed_at"]) is not int:
            raise RewardLabelError(f"{where}: failed_at must be the index of a frame.")

        was = now.labels.get(index, EpisodeLabel())
        entry = {key: value for key, value in before.items() if key not in LABEL_KEYS}
        if keypoints:
            in_order = [point for _, point in sorted(keypoints, key=lambda pair: pair[0])]
            entry = {"keypoints": in_order, "fps": self.fps, **entry}
        for key, nothing in (("failed_at", None), ("outcome", None), ("exclude", False)):
            if label[key] == getattr(was, key) and key in before:
                entry[key] = before[key]
            elif label[key] is not nothing:
                entry[key] = label[key]
        parsed = parse_entry(entry, length, self.fps, where)
        return None if parsed == EpisodeLabel() else entry

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other page of this server, and no other server, writes the file meanwhile."""
        with self._lock:
            folder = os.open(nearest_folder(self.place.path), os.O_RDONLY)
            try:
                with suppress(OSError):  # not every network file system has locks
                    fcntl.flock(folder, fcntl.LOCK_EX)
                yield
            finally:
                os.close(folder)


def checked(value: Any, keys: Sequence[str], where: str) -> dict[str, Any]:
    """A JSON object with no other keys than these."""
    if not isinstance(value, dict) or set(value) - set(keys):
        raise RewardLabelError(f"{where}: a JSON object with {', '.join(keys)} is expected.")
    return value


def page_label(label: EpisodeLabel) -> dict[str, Any]:
    """A label as the page has it, in frames alone."""
    points = [{"frame": p.frame_index, "reward": p.reward, "step": p.step} for p in label.keypoints]
    return {
        "keypoints": points,
        "failed_at": label.failed_at,
        "outcome": label.outcome,
        "exclude": label.exclude,
    }
