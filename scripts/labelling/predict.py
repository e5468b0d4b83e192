"""The reward that a policy predicts, computed in the background while a person labels.

    predictor = Predictor("outputs/train/cups", meta)   # a UserError where the policy cannot be used
    predictor.get(3)   # {"state": "waiting", "done": 64}, and later {"state": "ready", "reward": [...], "held_out": True}
    predictor.want_all()   # also those that nobody has asked for, when there is nothing else to do

The latest request comes first: that is the episode on the screen.
"""

import threading
from typing import Any

from shared.checkpoint import find_policy, read_train_config
from shared.cli import UserError, warn
from shared.episodes import choose_episodes
from shared.predict import load_with_dataset, predict_frames

from lerobot.datasets import LeRobotDatasetMetadata


class Predictor:
    """Predicts one episode at a time on its own thread, and keeps the results."""

    def __init__(self, policy_path: str, meta: LeRobotDatasetMetadata):
        folder, self.name = find_policy(policy_path)
        self.trained_on = choose_episodes(read_train_config(folder), meta).trained_on
        self._every = list(range(meta.total_episodes))
        try:
            self.loaded = load_with_dataset(folder, meta, str(meta.root), self._every)
        except UserError:
            raise
        except Exception as error:  # the Hub's client and the file readers raise many unrelated types
            reason = str(error).strip().split("\n")[0]
            raise UserError(f"the policy cannot be run on '{meta.repo_id}': {reason}") from error
        self._results: dict[int, dict[str, Any]] = {}
        self._wanted: list[int] = []  # the last one is predicted next
        self._wants_all = False
        self._now: tuple[int, int] | None = None  # the episode that is being predicted, and its frames so far
        self._change = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    def get(self, episode: int) -> dict[str, Any]:
        """The prediction of an episode, or that it is still to come; the request moves it to the front of the queue."""
        with self._change:
            if episode in self._results:
                return self._results[episode]
            if episode in self._wanted:
                self._wanted.remove(episode)
            self._wanted.append(episode)
            self._change.notify()
            done = self._now[1] if self._now and self._now[0] == episode else 0
            return {"state": "waiting", "done": done}

    def want_all(self) -> None:
        """Predict every episode, those that somebody asks for first."""
        with self._change:
            self._wants_all = True
            self._change.notify()

    def ready(self) -> dict[int, list[float]]:
        """The rewards of all episodes that have been predicted, by episode index."""
        with self._change:
            return {i: result["reward"] for i, result in self._results.items() if result["state"] == "ready"}

    @property
    def finished(self) -> int:
        """How many episodes are predicted, or cannot be."""
        return len(self._results)

    def _next(self) -> int | None:
        if self._wanted:
            return self._wanted[-1]
        return next((i for i in self._every if i not in self._results), None) if self._wants_all else None

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._next() is not None)
                episode = self._next()
            assert episode is not None
            try:
                result = self._predict(episode)
            except Exception as error:  # of any kind: labelling continues without the prediction
                warn(f"episode {episode} cannot be predicted: {error}")
                result = {"state": "failed", "error": str(error).strip().split("\n")[0]}
            with self._change:
                self._now = None
                if result is None:
                    continue
                self._results[episode] = result
                if episode in self._wanted:
                    self._wanted.remove(episode)

    def _predict(self, episode: int) -> dict[str, Any] | None:
        """The result; None if nobody asked for this episode and somebody now waits for another one."""
        rewards = []
        for prediction in predict_frames(self.loaded, episode):
            rewards.append(round(prediction.reward, 5))
            self._now = (episode, len(rewards))
            if self._wanted and episode not in self._wanted:
                return None
        held_out = None if self.trained_on is None else episode not in self.trained_on
        return {"state": "ready", "reward": rewards, "held_out": held_out}
