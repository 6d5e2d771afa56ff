"""The section on the run itself: stages, timings and where things lie."""

from collections.abc import Sequence
from pathlib import Path

from app.report import charts
from app.report.blocks import Block, Section, chart, table_of
from app.report.text import compact, count, duration, words
from app.results.run import Paths, StageRun


def section(stages_run: Sequence[StageRun], paths: Paths) -> Section:
    """How long each stage took, and where things lie."""
    blocks: list[Block] = []
    if stages_run:
        blocks += [timings(stages_run), stages(stages_run)]
    blocks.append(places(paths))
    return Section("run", "The run", "How long each stage took and what it left.", blocks)


def places(paths: Paths) -> Block:
    """Where things lie; what the run did not make is left out."""
    rows: list[tuple[str, Path]] = [(name, path) for name, path in paths if path is not None]
    return table_of(
        rows,
        [("What", lambda row: words(row[0])), ("Path", lambda row: str(row[1]))],
        left=(0, 1),
        title="Where things lie",
    )


def timings(rows: Sequence[StageRun]) -> Block:
    """Duration by stage."""
    total = sum(row.seconds for row in rows)
    longest = max(rows, key=lambda row: row.seconds)
    panel = charts.Panel(
        "duration (s)", [row.seconds for row in rows], [duration(row.seconds) for row in rows], compact
    )
    return chart(
        "Duration by stage",
        f"{duration(total)} in these stages, without the start of Spark; the longest is {words(longest.stage)}.",
        charts.bars([words(row.stage) for row in rows], [panel]),
    )


def stages(rows: Sequence[StageRun]) -> Block:
    """Rows and notes by stage."""
    return table_of(
        rows,
        [
            ("Stage", lambda row: words(row.stage)),
            ("Duration", lambda row: duration(row.seconds)),
            ("Rows", lambda row: count(row.rows)),
            ("Note", lambda row: row.note),
        ],
        left=(0, 3),
        title="Stages",
    )
