"""scripts/shared/cli.py: the limits of numbers, and lists of episodes."""

from argparse import ArgumentParser

import pytest
from shared.cli import (
    BY_MAKE,
    Parser,
    UserError,
    as_typed,
    at_least,
    format_episodes,
    parse_episodes,
    run_cli,
)


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


@pytest.mark.parametrize(
    ("message", "typed"),
    [
        ("give --policy-path.", "give POLICY=."),
        ("--cross-fit 6: 5 episodes", "CROSS_FIT=6: 5 episodes"),
        ("give another --port", "give another PORT="),
        (
            "--dataset.reward_labels=a.json and --dataset-root /data",
            "--dataset.reward_labels=a.json and ROOT=/data",
        ),
        ("--output FILE is needed", "OUTPUT=FILE is needed"),
        ("--policy.type=rewact, --dataset-name", "--policy.type=rewact, --dataset-name"),
        (
            "--root /data is old. Convert it: .venv/bin/python -m x --root=data/cups --root=/data",
            "ROOT=/data is old. Convert it: .venv/bin/python -m x --root=data/cups --root=/data",
        ),
    ],
)
def test_an_error_names_what_the_user_types(monkeypatch, capsys, message, typed):
    def main() -> None:
        raise UserError(message)

    for by_make, said in ((None, message), ("1", typed)):
        monkeypatch.delenv(BY_MAKE, raising=False)
        if by_make:
            monkeypatch.setenv(BY_MAKE, by_make)
        assert as_typed(message) == said
        with pytest.raises(SystemExit) as ended:
            run_cli(main)
        assert ended.value.code == 2 and capsys.readouterr().err == f"error: {said}\n"


def test_an_argument_that_argparse_refuses_is_one_line_of_make(monkeypatch, capsys):
    def main() -> None:
        parser = Parser(prog="label")
        parser.add_argument("--port", type=int)
        parser.parse_args(["--port=x"])

    monkeypatch.setenv(BY_MAKE, "1")
    with pytest.raises(SystemExit) as ended:
        run_cli(main)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: argument PORT=: invalid int value: 'x'\n"
