"""With the reward head off, the patched ACT equals the pristine one exactly: weights, losses, actions."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.act import configuration_act, modeling_act

ROOT = Path(__file__).parents[1]
ACT_DIR = "src/lerobot/policies/act"
BATCH_SIZE = 3


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """modeling_act.py as it is before the series, importable beside the patched one."""
    source = subprocess.run(
        ["git", "-C", ROOT / "lerobot", "show", f"refs/rewact/base:{ACT_DIR}/modeling_act.py"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "reward" not in source
    path = tmp_path_factory.mktemp("pristine") / "modeling_act.py"
    path.write_text(source)
    # Inside the package, so that its relative imports work.
    spec = importlib.util.spec_from_file_location("lerobot.policies.act.pristine_modeling_act", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def make_config(**kwargs):
    return configuration_act.ACTConfig(
        input_features={
            "observation.state": PolicyFeature(type=FeatureType.STATE, shape=(5,)),
            "observation.images.top": PolicyFeature(type=FeatureType.VISUAL, shape=(3, 64, 96)),
            "observation.images.wrist": PolicyFeature(type=FeatureType.VISUAL, shape=(3, 64, 96)),
        },
        output_features={"action": PolicyFeature(type=FeatureType.ACTION, shape=(4,))},
        dim_model=32,
        n_heads=4,
        dim_feedforward=40,
        chunk_size=6,
        pretrained_backbone_weights=None,
        device="cpu",
        **({"n_action_steps": 3} | kwargs),
    )


def make_batch(config, seed):
    generator = torch.Generator().manual_seed(seed)
    batch = {
        key: torch.randn(BATCH_SIZE, *feature.shape, generator=generator)
        for key, feature in config.input_features.items()
    }
    batch["action"] = torch.randn(BATCH_SIZE, config.chunk_size, 4, generator=generator)
    batch["action_is_pad"] = torch.zeros(BATCH_SIZE, config.chunk_size, dtype=torch.bool)
    batch["action_is_pad"][0, -2:] = True
    return batch


def run(module, config):
    """Build, train and run a policy; everything that a user could see of it."""
    torch.manual_seed(0)
    policy = module.ACTPolicy(config)
    initial = {key: value.clone() for key, value in policy.state_dict().items()}
    optimizer = torch.optim.AdamW(policy.get_optim_params(), lr=1e-4)
    losses = []
    for step in range(3):
        loss, loss_dict = policy.train().forward(make_batch(config, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append((loss.item(), loss_dict))
    policy.eval()
    with torch.no_grad():
        losses.append(policy.forward(make_batch(config, 9)))
    policy.reset()
    actions = [policy.select_action(make_batch(config, step)) for step in range(2 * config.n_action_steps)]
    chunk = policy.predict_action_chunk(make_batch(config, 7))
    return initial, policy.state_dict(), losses, actions, chunk


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"use_vae": False}, {"n_action_steps": 1, "temporal_ensemble_coeff": 0.01}],
    ids=["vae", "no_vae", "temporal_ensembling"],
)
def test_act_without_the_head_equals_upstream(pristine, kwargs):
    expected = run(pristine, make_config(**kwargs))
    found = run(modeling_act, make_config(**kwargs))
    for weights, expected_weights in zip(found[:2], expected[:2], strict=True):
        assert list(weights) == list(expected_weights)
        assert all(torch.equal(weights[key], expected_weights[key]) for key in weights)
    assert found[2] == expected[2]
    assert all(map(torch.equal, found[3], expected[3]))
    assert torch.equal(found[4], expected[4])


def test_model_output_without_the_head_equals_upstream(pristine):
    config = make_config()
    batch = make_batch(config, 0)
    batch["observation.images"] = [batch[key] for key in config.image_features]
    outputs = []
    for module in (pristine, modeling_act):
        torch.manual_seed(0)
        model = module.ACT(config).train()
        outputs.append(model(batch))
    (expected, expected_latent), (found, found_latent) = outputs
    assert torch.equal(found, expected)
    assert all(map(torch.equal, found_latent, expected_latent))
