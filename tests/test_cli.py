"""scripts/shared/cli.py: the limits of numbers, and lists of episodes."""

from argparse import ArgumentParser

import pytest
from shared.cli import UserError, at_least, format_episodes, parse_episodes


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


@pytest.mark.parametrize(
    ("text", "episodes"),
    [("40-42", [40, 41, 42]), ("7", [7]), ("0,3, 5-7", [0, 3, 5, 6, 7]), ("2,1-3", [2, 1, 3])],
)
def test_parse_episodes(text, episodes):
    assert parse_episodes(text) == episodes


@pytest.mark.parametrize("text", ["", "a", "3-", "-3", "1,,2", "7-5", "1.5"])
def test_parse_episodes_names_what_it_cannot_read(text):
    with pytest.raises(UserError, match=f"'{text}'"):
        parse_episodes(text)


def test_format_episodes_is_the_reverse():
    assert format_episodes([7, 0, 1, 2]) == "0-2,7"
    assert parse_episodes(format_episodes([1, 2, 9, 5])) == [1, 2, 5, 9]
