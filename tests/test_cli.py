"""scripts/shared/cli.py: the limits of numbers. Lists of episodes are in test_visualise.py."""

from argparse import ArgumentParser

import pytest
from shared.cli import at_least


@pytest.mark.parametrize(("value", "refused"), [("16", False), ("15", True), ("-1", True)])
def test_a_number_below_its_limit_is_refused_by_name(capsys, value, refused):
    parser = ArgumentParser(prog="demo")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image-size", type=int)
    args = parser.parse_args(["--image-size", value])
    if not refused:
        at_least(parser, args, seed=0, image_size=16)
        return
    with pytest.raises(SystemExit) as ended:
        at_least(parser, args, seed=0, image_size=16)
    assert ended.value.code == 2
    assert f"error: --image-size must be at least 16, not {value}" in capsys.readouterr().err
