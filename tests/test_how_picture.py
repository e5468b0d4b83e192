"""scripts/how_picture.py: the diagram in docs/ is the one that the script draws."""

from xml.etree import ElementTree

from how_picture import FILE, draw


def test_the_diagram_is_up_to_date_and_can_be_read():
    assert FILE.read_text() == draw()
    ElementTree.fromstring(draw())
