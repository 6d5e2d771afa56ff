"""Write docs/figures.md from the types of its rows: `python scripts/figures_page.py docs/figures.md`."""

import sys
from pathlib import Path

import pyarrow as pa

from app.insight.figures import TABLES, columns

HEAD = """# Figures as tables

What the report says of customers and behaviour, as small Parquet tables for other programs:
`processed/figures_<stamp>/<name>.parquet`. `vitrine customers` writes those of customers, `vitrine explore` those of
behaviour, `vitrine segments` those of segments and profiles, `vitrine train` all. What a run looked for and did not
find is a table without rows. The figures are those of [`run.json`](run.md). Tables with a row for each customer, user
and product lie [beside them](data.md#output).

```python
pandas.read_parquet("shop/processed/figures_20191101_081500/cohorts.parquet")
```

This page is written from [`app/insight/figures.py`](../app/insight/figures.py) by `make docs`. Shares lie between 0
and 1; a column that may be null says so.
"""
WORDS = {
    pa.int64(): "integer",
    pa.float64(): "number",
    pa.string(): "text",
    pa.bool_(): "true or false",
    pa.date32(): "day",
    pa.list_(pa.string()): "list of text",
}


def page() -> str:
    """The page's text."""
    return HEAD + "".join(_table(name) for name in TABLES)


def _table(name: str) -> str:
    row = TABLES[name].row
    lines = [
        f"| `{column}` | {WORDS[kind]}{' or null' if nullable else ''} | {meaning.replace('|', '/')} |"
        for column, kind, nullable, meaning in columns(row)
    ]
    told = (row.__doc__ or "").strip().splitlines()[0]
    return "\n".join(["", f"## {name}", "", told, "", "| column | type | meaning |", "|---|---|---|", *lines, ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
