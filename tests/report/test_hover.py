"""What charts answer: any text comes through the picture's markup as it was."""

import xml.etree.ElementTree as ElementTree
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from app.report.hover import MARK, told

#: Of printable characters, as names on the page are.
TEXT = st.text(st.characters(exclude_categories=("C", "Z")) | st.sampled_from(" \n\"'<>&%:"), min_size=1)


@settings(deadline=None)
@given(TEXT)
def test_a_text_is_the_title_of_its_area(text: str) -> None:
    drawn = f'<g id="{MARK}{quote(text)}">\n <path d="M 1.04 2.0 \nL 3.96 -4.449\nz\n" style="fill: none"/>\n</g>'
    area = ElementTree.fromstring(told(drawn))
    title, path = area
    assert (area.get("class"), title.text) == ("tip", text)
    assert path.attrib == {"d": "M 1 2 L 4 -4.4 z"}


def test_what_says_nothing_stays_as_it_is() -> None:
    drawn = '<g id="patch_1">\n <path d="M 1.04 2.0" style="fill: none"/>\n</g>'
    assert told(drawn) == drawn
