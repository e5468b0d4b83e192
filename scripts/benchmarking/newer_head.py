"""The head of lerobot_policy_rewact 0.1.4, written anew to be compared with.

python -m benchmarking.newer_head --policy.type=rewact --policy.reward_head=decoder ...     # as lerobot-train

An MLP on the decoder's output for the first action gives a distribution over 100 bins. It is trained with a cross entropy
of weight 0.1 to the label's bin, and in half of the samples the robot's state is zero. The package itself
(https://pypi.org/project/lerobot_policy_rewact/, MIT) registers the same policy type as this one, so the two cannot be
installed together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from lerobot.policies.act import modeling_act
from lerobot.utils.constants import OBS_STATE
from rewact.head import DecoderRewardHead, reward_mlp

BINS = 100
STATE_DROPOUT = 0.5
# With lerobot-train's flags for the original's head.
FLAGS = {"policy.type": "rewact", "policy.reward_head": "decoder", "policy.reward_loss_weight": "0.1"}


class NewerHead(DecoderRewardHead):
    """A distribution over bins from the decoder's output for the current action.

    Args:
        config: the policy's.
    """

    def __init__(self, config: Any):
        super().__init__(config)
        self.mlp = reward_mlp(config.dim_model, BINS)
        self.register_buffer("centers", torch.linspace(0, 1, BINS), persistent=False)

    def value(self, logits: Tensor) -> Tensor:
        """(B, BINS) logits to the (B,) expected progress."""
        return (logits.softmax(dim=-1) * self.centers).sum(dim=-1).clamp(0, 1)

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        """(B, BINS) logits and (B,) labels to (B,) cross entropies."""
        return F.cross_entropy(logits, (label.clamp(0, 1) * (BINS - 1)).round().long(), reduction="none")


def drop_state(model: nn.Module, args: tuple) -> tuple | None:
    """Set the state of half of the samples to zero in training: a forward pre-hook of ACT."""
    if not model.training:
        return None
    (batch,) = args
    keep = torch.rand(len(batch[OBS_STATE]), 1, device=batch[OBS_STATE].device) >= STATE_DROPOUT
    return (batch | {OBS_STATE: batch[OBS_STATE] * keep},)


@contextmanager
def newer_head() -> Iterator[None]:
    """Policies that are made in this context have the newer head in the place of the original's."""
    make_head, init = modeling_act.make_reward_head, modeling_act.ACT.__init__

    def make_act(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.register_forward_pre_hook(drop_state)

    modeling_act.make_reward_head, modeling_act.ACT.__init__ = NewerHead, make_act
    try:
        yield
    finally:
        modeling_act.make_reward_head, modeling_act.ACT.__init__ = make_head, init


if __name__ == "__main__":
    from lerobot.scripts.lerobot_train import main

    with newer_head():
        main()
