"""Where the prediction of a policy and the label disagree, for a person to look there first.

    Differences(store, predictor).now("linear")   # {3: {"mean": 0.21, "frame": 120, "label": 1.0, "predicted": 0.1}}

An episode without a label is compared with the linear progress that training would use.
"""

from typing import Any

import numpy as np

from labelling.predict import Predictor
from labelling.store import LabelStore
from rewact.keypoints import curve


class Differences:
    """Compares the label file with what has been predicted so far."""

    def __init__(self, store: LabelStore, predictor: Predictor):
        self.store, self.predictor = store, predictor
        self._known: dict[
            int, tuple[Any, dict[str, Any] | None]
        ] = {}  # by episode (what was compared, result)

    def now(self, interpolation: str) -> dict[int, dict[str, Any]]:
        """By episode index the mean difference, and the frame of the largest; excluded episodes have none."""
        entries = self.store.read().entries
        found = {}
        for episode, predicted in self.predictor.ready().items():
            of = (entries.get(episode, {}), interpolation)
            if self._known.get(episode, (None,))[0] != of:
                label = curve(of[0], self.store.lengths[episode], self.store.fps, interpolation)
                excluded = of[0].get("exclude", False)
                self._known[episode] = (of, None if excluded else difference(label, np.array(predicted)))
            if (result := self._known[episode][1]) is not None:
                found[episode] = result
        return found


def difference(label: np.ndarray, predicted: np.ndarray) -> dict[str, Any] | None:
    """Of two (T,) curves over the frames where the label is known (not NaN)."""
    apart = np.abs(label - predicted)
    if np.isnan(apart).all():
        return None
    frame = int(np.nanargmax(apart))
    return {
        "mean": round(float(np.nanmean(apart)), 4),
        "frame": frame,
        "label": round(float(label[frame]), 4),
        "predicted": round(float(predicted[frame]), 4),
    }
