#!/usr/bin/env python
"""Draw how a reward is made, from the observation to the reward: docs/images/how.svg.

python scripts/how_picture.py
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "docs" / "images" / "how.svg"
WIDTH, HEIGHT = 860, 330
BOX = 54  # the height of a box
GREY, BLUE, ORANGE = "#5f6b76", "#0072b2", "#d55e00"


@dataclass(frozen=True)
class Box:
    x: int
    y: int
    width: int
    title: str
    note: str
    colour: str

    @property
    def left(self) -> tuple[int, int]:
        return self.x, self.y + BOX // 2

    @property
    def right(self) -> tuple[int, int]:
        return self.x + self.width, self.y + BOX // 2

    @property
    def top(self) -> tuple[int, int]:
        return self.x + self.width // 2, self.y

    @property
    def bottom(self) -> tuple[int, int]:
        return self.x + self.width // 2, self.y + BOX

    def svg(self) -> str:
        middle = self.x + self.width // 2
        return (
            f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{BOX}" rx="8" fill="#fff" '
            f'stroke="{self.colour}" stroke-width="2"/>\n'
            f'<text x="{middle}" y="{self.y + 23}" font-weight="bold" fill="{self.colour}">{escape(self.title)}</text>\n'
            f'<text x="{middle}" y="{self.y + 42}" font-size="12" fill="#333">{escape(self.note)}</text>'
        )


def arrow(*points: tuple[int, int]) -> str:
    path = " L".join(f"{x},{y}" for x, y in points)
    return f'<path d="M{path}" fill="none" stroke="#333" marker-end="url(#tip)"/>'


def draw() -> str:
    observation = Box(15, 118, 140, "observation", "images, joint angles", GREY)
    tokens = Box(190, 118, 150, "observation tokens", "ResNet and projection", GREY)
    act = Box(190, 20, 150, "ACT", "encoder, decoder", GREY)
    actions = Box(385, 20, 130, "actions", "as in LeRobot", GREY)
    head = Box(385, 118, 130, "head", "50 progress bins", BLUE)
    follow = Box(550, 118, 120, "filter", "over the episode", BLUE)
    gripper = Box(190, 226, 150, "gripper, other joints", "and the last command", GREY)
    evidence = Box(385, 226, 295, "evidence", "is the gripper where demonstrations had it?", ORANGE)
    reward = Box(735, 118, 110, "reward", "progress × ok", BLUE)
    boxes = (observation, tokens, act, actions, head, follow, gripper, evidence, reward)
    arrows = (
        (observation.right, tokens.left),
        (tokens.top, act.bottom),
        (act.right, actions.left),
        (tokens.right, head.left),
        (head.right, follow.left),
        (follow.right, reward.left),
        (observation.bottom, (observation.bottom[0], gripper.left[1]), gripper.left),
        (gripper.right, evidence.left),
        (evidence.right, (reward.bottom[0], evidence.right[1]), reward.bottom),
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
            'font-size="14" text-anchor="middle">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#333"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="#fff"/>',
            *(arrow(*points) for points in arrows),
            *(box.svg() for box in boxes),
            f'<text x="702" y="{follow.right[1] - 10}" font-size="12" fill="{BLUE}">progress</text>',
            f'<text x="765" y="{evidence.right[1] - 10}" font-size="12" fill="{ORANGE}">ok</text>',
            f'<text x="450" y="{HEIGHT - 14}" font-size="13" fill="#333">The stop rule ends the episode when the reward '
            "has been at its threshold for half a second.</text>",
            "</svg>\n",
        ]
    )


def main() -> None:
    FILE.write_text(draw())
    print(FILE)


if __name__ == "__main__":
    main()
