"""The section on the run itself: stages, timings and where things lie."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.report import charts
from app.report.blocks import Block, Columns, Section, chart, table_of
from app.report.text import compact, count, duration, words


def section(stages_run: Sequence[Mapping[str, Any]], paths: Mapping[str, Any]) -> Section:
    """Timings of `run["stages"]` and `run["paths"]`."""
    blocks: list[Block] = []
    if stages_run:
        blocks += [timings(stages_run), stages(stages_run)]
    if paths:
        records = [{"what": words(name), "path": str(path)} for name, path in paths.items()]
        columns: Columns = {"what": ("What", str), "path": ("Path", str)}
        blocks.append(table_of(records, columns, left=(0, 1), title="Where things lie"))
    return Section("run", "The run", "How long each stage took and what it left.", blocks)


def timings(rows: Sequence[Mapping[str, Any]]) -> Block:
    """Duration by stage."""
    total = sum(row["seconds"] for row in rows)
    longest = max(rows, key=lambda row: row["seconds"])
    panel = charts.Panel(
        "duration (s)", [row["seconds"] for row in rows], [duration(row["seconds"]) for row in rows], compact
    )
    return chart(
        "Duration by stage",
        f"{duration(total)} in all; the longest stage is {words(longest['stage'])}.",
        charts.bars([words(row["stage"]) for row in rows], [panel]),
    )


def stages(rows: Sequence[Mapping[str, Any]]) -> Block:
    """Rows and notes by stage."""
    columns: Columns = {
        "stage": ("Stage", words),
        "seconds": ("Duration", duration),
        "rows": ("Rows", count),
        "note": ("Note", lambda note: str(note or "")),
    }
    return table_of(rows, columns, left=(0, 3), title="Stages")
