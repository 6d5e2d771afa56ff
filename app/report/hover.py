"""What a chart answers when it is pointed at: areas with a text, over the drawing and unseen.

A chart library would weigh more than all the rest of the page and draw nothing where scripts are off: the pictures stay
those of matplotlib, and `page.js` shows what stands in them.
"""

import re
from html import escape
from urllib.parse import quote, unquote

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.transforms import Transform

MARK = "tip:"  #: begins the id of such an area, of which the rest is its text


def answer(axis: Axes, corner: tuple[float, float], width: float, height: float, *lines: str) -> None:
    """Have an area of data coordinates say something."""
    _area(axis, corner, width, height, axis.transData, lines)


def answer_column(axis: Axes, left: float, width: float, *lines: str) -> None:
    """Have a strip from the bottom to the top of the axes say something."""
    _area(axis, (left, 0.0), width, 1.0, axis.get_xaxis_transform(), lines)


def answer_row(axis: Axes, bottom: float, height: float, *lines: str) -> None:
    """Have a strip from the left to the right of the axes say something."""
    _area(axis, (0.0, bottom), 1.0, height, axis.get_yaxis_transform(), lines)


def _area(
    axis: Axes, corner: tuple[float, float], width: float, height: float, place: Transform, lines: tuple[str, ...]
) -> None:
    area = Rectangle(corner, width, height, transform=place, facecolor="none", linewidth=0, clip_on=False, zorder=9)
    area.set_gid(MARK + quote("\n".join(lines)))
    area.set_in_layout(False)
    axis.add_artist(area)


def told(svg: str) -> str:
    """The picture with the text of each area as its title, which browsers show even without a script."""
    return re.sub(
        rf'<g id="{MARK}([^"]*)">\s*(<path d=")([^"]*)(")[^>]*/>',
        lambda found: (
            f'<g class="tip"><title>{escape(unquote(found[1]))}</title>{found[2]}{_short(found[3])}{found[4]}/>'
        ),
        svg,
    )


def _short(path: str) -> str:
    """A path of tenths of a point on one line."""
    numbers = re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), path)
    return re.sub(r"\s+", " ", numbers).strip()
