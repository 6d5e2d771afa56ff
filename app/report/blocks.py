"""What a page is made of: sections of charts and tables."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from matplotlib.figure import Figure

from app.report.theme import to_svg

Row = TypeVar("Row")


@dataclass(frozen=True)
class Table:
    """Headers and rows of text; columns in `left` hold words and are left-aligned."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    caption: str = ""
    left: frozenset[int] = frozenset({0})
    folded: bool = False  #: shown only when opened
    wide: bool = False


@dataclass(frozen=True)
class Chart:
    """A picture with the numbers behind it; `svg` is None where there is nothing to draw."""

    title: str
    caption: str
    svg: str | None
    table: Table | None = None
    wide: bool = False


Block = Chart | Table
Columns = Sequence[tuple[str, Callable[[Row], str]]]  #: header, and what stands under it for a row


@dataclass(frozen=True)
class Section:
    """A titled part of the page."""

    key: str
    title: str
    intro: str
    blocks: Sequence[Block]


def answered(section: Section) -> Section:
    """The section without what is empty, which its head names: with its reason, else the log has no data for it."""
    empty = [block for block in section.blocks if _is_empty(block)]
    if not empty:
        return section
    because: dict[str, list[str]] = {}
    for block in empty:
        if isinstance(block, Chart) and block.caption:
            because.setdefault(block.caption, []).append(f"“{block.title}”")
    others = [block.title for block in empty if not (isinstance(block, Chart) and block.caption)]
    said = [section.intro, *(f"Left out, {', '.join(titles)}: {reason}" for reason, titles in because.items())]
    if others:
        said.append(f"Left out, as the log has no data for it: {', '.join(others)}.")
    return replace(section, intro=" ".join(said), blocks=[block for block in section.blocks if not _is_empty(block)])


def _is_empty(block: Block) -> bool:
    return not (block.svg if isinstance(block, Chart) else block.rows)


def chart(
    title: str,
    caption: str = "",
    figure: Figure | None = None,
    table: Table | None = None,
    wide: bool = False,
) -> Chart:
    """A chart drawn from its figure; one without a figure is left out of the page (`answered`).

    Parameters
    ----------
    title
        What is shown; unique on the page.
    caption
        One or two sentences, also read to those who do not see the picture; without a figure, why there is none.
    table
        The numbers behind the picture, folded under it.
    wide
        Takes the full width of the page.
    """
    return Chart(title, caption, to_svg(figure, title, caption) if figure else None, table, wide)


def table_of(
    rows: Iterable[Row],
    columns: Columns[Row],
    left: Iterable[int] = (0,),
    *,
    title: str = "",
    caption: str = "",
    folded: bool = False,
    wide: bool = False,
) -> Table:
    """A table of typed rows; the options are fields of `Table`.

    Parameters
    ----------
    rows
        Results of one type.
    columns
        Header and text of each column, in order.
    left
        Positions of columns of words, left-aligned.
    """
    return Table(
        headers=[header for header, _ in columns],
        rows=[[text(row) for _, text in columns] for row in rows],
        title=title,
        caption=caption,
        left=frozenset(left),
        folded=folded,
        wide=wide,
    )
