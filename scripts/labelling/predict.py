"""The reward that a policy predicts, computed in the background while a person labels.

    predictor = Predictor("outputs/train/cups", meta)   # a UserError where the policy cannot be used
    predictor.get(3)   # {"state": "waiting"}, and later {"state": "ready", "reward": [...], "held_out": True}

The latest request comes first: that is the episode on the screen.
"""

import sys
import threading
from typing import Any

from shared.checkpoint import find_policy, read_train_config
from shared.cli import UserError
from shared.episodes import choose_episodes
from shared.predict import load_with_dataset, predict_episode

from lerobot.datasets import LeRobotDatasetMetadata


class Predictor:
    """Predicts one episode at a time on its own thread, and keeps the results."""

    def __init__(self, policy_path: str, meta: LeRobotDatasetMetadata):
        folder, self.name = find_policy(policy_path)
        self.trained_on = choose_episodes(read_train_config(folder), meta).trained_on
        every = list(range(meta.total_episodes))
        try:
            self.loaded = load_with_dataset(folder, meta, str(meta.root), every)
        except UserError:
            raise
        except Exception as error:  # the Hub's client and the file readers raise many unrelated types
            reason = str(error).strip().split("\n")[0]
            raise UserError(f"the policy cannot be run on '{meta.repo_id}': {reason}") from error
        self._results: dict[int, dict[str, Any]] = {}
        self._wanted: list[int] = []  # the last one is predicted next
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
            return {"state": "waiting"}

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._wanted)
                episode = self._wanted[-1]
            try:
                rewards = predict_episode(self.loaded, episode)
                result: dict[str, Any] = {
                    "state": "ready",
                    "reward": [round(reward, 5) for reward in rewards.tolist()],
                }
                result["held_out"] = None if self.trained_on is None else episode not in self.trained_on
            except Exception as error:  # of any kind: labelling continues without the prediction
                print(f"WARNING   episode {episode} cannot be predicted: {error}", file=sys.stderr)
                result = {"state": "failed", "error": str(error).strip().split("\n")[0]}
            with self._change:
                self._results[episode] = result
                self._wanted.remove(episode)
