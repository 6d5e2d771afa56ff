"""Any text is parsed without an exception and without losing a row; events come back as they were."""

import csv
import re
from datetime import datetime
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from app.core.duck import Connection
from app.events.clean import REASONS, parse, rejected_rows
from app.events.vocabulary import EVENT_TYPES, RAW_COLUMNS
from tests.handmade import cleaned, read_events

LATEST = datetime(2026, 1, 1)
FEW = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
WILD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "",
        '"',
        '""',
        ",",
        "\n",
        "\r\n",
        "\r",
        "\\",
        "a\nb",
        '"\n"',
        "NaN",
        "null",
        "\ufeff",
        "\0",
        "2019-10-01 00:00:00 UTC",
    ]
)
ROWS = st.lists(st.lists(WILD, min_size=1, max_size=11), min_size=1, max_size=80)
VISIBLE = st.characters(min_codepoint=0x21, exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp", "Cf", "Cn"])
WORD = st.text(VISIBLE, min_size=1, max_size=15).filter(lambda word: word.lower() not in ("nan", "null", "none"))
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "event_time": st.datetimes(datetime(2001, 1, 1), datetime(2025, 12, 31)).map(
                lambda time: time.replace(microsecond=0)
            ),
            "event_type": st.sampled_from(EVENT_TYPES),
            "product_id": st.integers(-(2**63), 2**63 - 1),
            "category_id": st.integers(0, 2**63 - 1),
            "category_code": WORD,
            "brand": WORD,
            "price": st.floats(0.01, 1e6, allow_nan=False),
            "user_id": st.integers(0, 2**63 - 1),
            "user_session": WORD,
        }
    ),
    min_size=1,
    max_size=60,
)


def write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(RAW_COLUMNS)
        csv.writer(file, lineterminator="\n").writerows(rows)


def lines(path: Path) -> int:
    """Rows in Spark's sense: lines that are not blank, the header left out."""
    text = path.read_bytes().decode()
    return sum(1 for line in re.split("\r\n|\r|\n", text) if line.strip("".join(map(chr, range(33))))) - 1


@FEW
@given(rows=ROWS)
def test_any_text_is_kept_or_rejected_and_counted(
    rows: list[list[str]], spark: SparkSession, duck: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "wild.csv"
    write(path, rows)
    parsed = parse(read_events(spark, str(path)), LATEST, 1e6)
    ((kept,),) = cleaned(duck, parsed).aggregate("coalesce(sum(copies), 0)::bigint").fetchall()
    reasons = [row["reason"] for row in rejected_rows(parsed).collect()]
    assert kept + len(reasons) == lines(path)
    assert set(reasons) <= set(REASONS)


@FEW
@given(events=EVENTS, noise=st.lists(st.lists(WILD, min_size=1, max_size=8), max_size=5))
def test_events_come_back_exactly(
    events: list[dict[str, object]], noise: list[list[str]], spark: SparkSession, duck: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "events.csv"
    texts = [[f"{event['event_time']} UTC", *(str(event[name]) for name in RAW_COLUMNS[1:])] for event in events]
    write(path, [*texts, *noise])  # bad rows behind spoil no good one before them
    table = cleaned(duck, parse(read_events(spark, str(path)), LATEST, 1e6))
    read = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
    found = sorted(tuple(str(row[name]) for name in RAW_COLUMNS) for row in read for _ in range(row["copies"]))
    assert found == sorted(tuple(str(event[name]) for name in RAW_COLUMNS) for event in events)


STRAY = ('"', '""', '"""', '"a', 'a"', 'a"b', '"a"b', "\\", '\\"', '"\\"')


def test_a_stray_quote_spoils_its_own_row_at_most(spark: SparkSession, duck: Connection, tmp_path: Path) -> None:
    """Products of an odd number are of the good rows before, between and behind."""
    path = tmp_path / "quotes.csv"
    texts = ["x", *(text for stray in STRAY for text in (stray, "y"))]
    good = "2019-10-01 00:00:{0:02} UTC,view,{0},1,a.b,{1},9.99,7,s"
    rows = [good.format(number, text) for number, text in enumerate(texts, 1)]
    path.write_text("\n".join([",".join(RAW_COLUMNS), *rows]) + "\n")
    parsed = parse(read_events(spark, str(path)), LATEST, 1e6)
    kept = {product for (product,) in cleaned(duck, parsed).select("product_id").fetchall()}
    assert {*range(1, len(rows) + 1, 2)} <= kept
    assert len(kept) + rejected_rows(parsed).count() == len(rows)
