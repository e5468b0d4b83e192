"""The label file that the page edits: where it is, which version the page knows, and how a change is saved.

    place = choose_place(meta)                       # inside the dataset, or in outputs/labels
    store = LabelStore(place, lengths, fps, repo_id)
    now = store.read()                               # validated as training validates it
    now, conflicts = store.save({3: {"keypoints": [{"frame": 10, "reward": 0.5, "step": False}]}}, before={})

Several tabs and programs may change the file: their changes are merged episode by episode, and only a label that both
changed is a conflict. Saving one episode leaves the entries of all others exactly as they are in the file.
"""

import fcntl
import hashlib
import os
import shlex
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub.constants import HF_HUB_CACHE
from shared.cli import UserError

from lerobot.datasets import LeRobotDatasetMetadata
from lerobot.utils.constants import HF_LEROBOT_HUB_CACHE
from rewact.keypoints import (
    REWARD_LABELS_PATH,
    EpisodeLabel,
    RewardLabelError,
    load_labels,
    parse_entry,
    read_label_file,
    save_label_file,
)
from rewact.labels import find_label_file

LABELS_DIR = Path("outputs/labels")
LABEL_KEYS = ("keypoints", "failed_at", "outcome", "exclude", "proposed")
POINT_KEYS = ("frame", "reward", "step")


@dataclass(frozen=True)
class Place:
    """Where labels are saved.

    Attributes:
        path: the file; it need not exist yet.
        start: the label file to begin with while `path` does not exist; None to begin without labels.
        why: the reason for this place, for the person who labels.
        repo_id: the dataset that the file names; None inside a dataset, where the name is not needed.
    """

    path: Path
    start: Path | None
    why: str
    repo_id: str | None

    @property
    def flag(self) -> str | None:
        """The flag that makes training use the file; None where training finds it by itself."""
        return f"--dataset.reward_labels={shlex.quote(str(self.path))}" if self.repo_id else None


def choose_place(meta: LeRobotDatasetMetadata, named: Path | None = None) -> Place:
    """Where to save the labels of a dataset.

    Args:
        meta: its metadata.
        named: the file that the user asks for. None saves inside the dataset; if that is in the Hub's cache or
            cannot be written, in outputs/labels, beginning with the dataset's own labels.
    """
    inside = Path(meta.root) / REWARD_LABELS_PATH
    if named is not None:
        path = named.expanduser()
        if not is_writable(path):
            raise UserError(f"--labels {named} cannot be written: name another file.")
        return Place(path, None, "as --labels says", None if same_file(path, inside) else meta.repo_id)
    if in_hub_cache(Path(meta.root)):
        why = "the dataset is in the Hub's cache, which must not be changed"
    elif not is_writable(inside):
        why = f"{inside} cannot be written"
    else:
        return Place(inside, None, "inside the dataset, where training finds it", None)
    path = LABELS_DIR / f"{meta.repo_id.replace('/', '_')}.json"
    if not is_writable(path):
        raise UserError(f"{why}, and neither can {path}: name a file with --labels FILE.")
    return Place(path, find_label_file(meta), why, meta.repo_id)


def same_file(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def in_hub_cache(root: Path) -> bool:
    """Whether a folder belongs to a download: files added there are lost with the next revision."""
    root = root.resolve()
    caches = (HF_LEROBOT_HUB_CACHE, Path(HF_HUB_CACHE))
    is_snapshot = root.parent.name == "snapshots" and (root.parent.parent / "blobs").is_dir()
    return is_snapshot or any(root.is_relative_to(cache.resolve()) for cache in caches)


def nearest_folder(path: Path) -> Path:
    """The nearest parent folder of a file that exists."""
    return next(folder for folder in path.resolve().parents if folder.is_dir())


def is_writable(path: Path) -> bool:
    """Whether a file can be created or replaced."""
    if path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
        return False
    folder = nearest_folder(path)
    if any(parent.exists() and not parent.is_dir() for parent in path.resolve().parents):
        return False
    return os.access(folder, os.W_OK | os.X_OK)


@dataclass(frozen=True)
class Snapshot:
    """One version of the label file.

    Attributes:
        version: the hash of its bytes, which changes when another program writes it; "" where there is no file.
        entries: the entries as in the file, by episode index.
        labels: the parsed entries, by episode index.
        repo_id: the dataset that the file names, if any.
    """

    version: str = ""
    entries: dict[int, Any] = field(default_factory=dict)
    labels: dict[int, EpisodeLabel] = field(default_factory=dict)
    repo_id: str | None = None


class LabelStore:
    """Reads and writes the label file of one dataset."""

    def __init__(self, place: Place, lengths: Sequence[int], fps: float, repo_id: str):
        """
        Args:
            place: where it is.
            lengths: the number of frames of every episode.
            fps: the dataset's frames per second.
            repo_id: the dataset's name.
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
        """The current labels, or a RewardLabelError that says what is wrong with the file."""
        while True:
            version = self.version()
            source = self.place.path if version else self.place.start
            if source is None:
                return Snapshot()
            labels = load_labels(source, self.lengths, self.fps, self.repo_id)
            entries, named = read_label_file(source)
            if self.version() == version:  # else another program wrote it meanwhile
                return Snapshot(version, entries, labels, named)

    def save(self, changes: Mapping[int, Any], before: Mapping[int, Any]) -> tuple[Snapshot, list[int]]:
        """Write changed labels, except for episodes whose label has meanwhile changed in the file.

        Args:
            changes: by episode index the whole label, as `page_label` makes it; an empty label removes the entry.
            before: the labels that they replace, as far as they were not empty.
        Returns:
            The file after the change, and the episodes that were not written: their label in the file is neither the
            one before nor the new one.
        Raises:
            RewardLabelError: If a label or the file is not valid. Nothing is written.
            OSError: If the file cannot be written. It is as before.
        """
        with self._alone():
            now = self.read()
            entries, conflicts = dict(now.entries), []
            for index, label in changes.items():
                if index not in range(len(self.lengths)):
                    raise RewardLabelError(
                        f"episode {index} does not exist: the dataset has episodes 0 to {len(self.lengths) - 1}."
                    )
                entry = self.entry(index, label, now)
                if entry == now.entries.get(index):
                    continue  # as when the answer to a save was lost
                there = page_label(now.labels.get(index, EpisodeLabel()))
                if there != page_label(EpisodeLabel()) | before.get(index, {}):
                    conflicts.append(index)
                elif entry is None:
                    entries.pop(index, None)
                else:
                    entries[index] = entry
            if entries == now.entries:
                return now, conflicts
            data: dict[str, Any] = {str(index): entries[index] for index in sorted(entries)}
            # A new file outside of the dataset names it.
            named = now.repo_id if now.version or now.repo_id else self.place.repo_id
            if named is not None:
                data = {"repo_id": named, "episodes": data}
            save_label_file(self.place.path.resolve(), data)  # writes through a symbolic link
            return self.read(), conflicts

    def entry(self, index: int, label: Any, now: Snapshot) -> dict[str, Any] | None:
        """The entry to write for a label from the page; None for an empty label.

        Values that did not change stay exactly as they are in the file. A keypoint on a new frame gets that frame's
        timestamp. Of a policy's proposal only `accepted` changes: a label that does not bring the proposal along is a
        person's own.
        """
        where = f"episode {index}"
        length, before = self.lengths[index], now.entries.get(index, {})
        label = page_label(EpisodeLabel()) | checked(label, LABEL_KEYS, where)
        if not isinstance(label["keypoints"], list):
            raise RewardLabelError(f"{where}: 'keypoints' must be a list.")
        written = {}  # the file's keypoints by frame
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
        if "proposed" in before:
            said = {key: value for key, value in before["proposed"].items() if key != "accepted"}
            is_open = isinstance(label["proposed"], dict) and label["proposed"].get("accepted") is False
            entry["proposed"] = said if is_open else said | {"accepted": True}
        parsed = parse_entry(entry, length, self.fps, where)
        return None if parsed == EpisodeLabel() else entry

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other requests and other servers from writing the file meanwhile."""
        with self._lock:
            folder = os.open(nearest_folder(self.place.path), os.O_RDONLY)
            try:
                with suppress(OSError):  # some network file systems have no locks
                    fcntl.flock(folder, fcntl.LOCK_EX)
                yield
            finally:
                os.close(folder)


def checked(value: Any, keys: Sequence[str], where: str) -> dict[str, Any]:
    """`value`, if it is a JSON object with no other keys than these."""
    if not isinstance(value, dict) or set(value) - set(keys):
        raise RewardLabelError(f"{where}: a JSON object with {', '.join(keys)} is expected.")
    return value


def page_label(label: EpisodeLabel) -> dict[str, Any]:
    """A label in the page's form, in which every time is a frame index."""
    points = [{"frame": p.frame_index, "reward": p.reward, "step": p.step} for p in label.keypoints]
    return {
        "keypoints": points,
        "failed_at": label.failed_at,
        "outcome": label.outcome,
        "exclude": label.exclude,
        "proposed": None if label.proposed is None else asdict(label.proposed),
    }
