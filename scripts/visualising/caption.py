"""What is written over the images and videos of an episode."""

from dataclasses import dataclass

from shared.drawing import LABEL, WARNING
from shared.episodes import Choice


@dataclass
class Caption:
    """The text over an episode.

    Attributes:
        title: dataset and episode.
        status: whether the episode is a test of the reward.
        warning: the same in a word or two where it is none, or may be none; else empty.
    """

    title: str
    status: str
    warning: str = ""

    @property
    def colour(self) -> str:
        return WARNING if self.warning else LABEL

    def short_status(self) -> str:
        """The warning as the beginning of a small plot's title, empty without one."""
        return f"{self.warning}, " if self.warning else ""


def make_caption(repo_id: str, episode: int, choice: Choice) -> Caption:
    short = repo_id if len(repo_id) <= 40 else "…" + repo_id[-39:]
    title = f"{short}  ·  episode {episode}"
    if choice.trained_on is None:
        return Caption(title, "may have been trained on", "may be trained on")
    if episode in choice.trained_on:
        return Caption(title, "TRAINING EPISODE: not a test of the reward", "trained on")
    return Caption(title, "held-out episode" if choice.trained_on else "of a dataset that was not trained on")


def camera_name(key: str) -> str:
    return key.removeprefix("observation.").removeprefix("images.")
