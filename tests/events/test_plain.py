"""Plain lines become the same events as by the rules, and no other line is taken for one."""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from app.core.settings import Settings
from app.events import pieces
from app.events import read as reading
from app.events.clean import CHOSEN_BY, event_rows, parse
from app.events.forgotten import Forgotten, hashed
from app.events.ingest import CleaningReport, ingest
from app.events.layout import REES46, Columns, Layout, Rule, TimeFormat
from app.events.merged import Merge, Merged
from app.events.plain import PLAIN_SCHEMA, CleaningRules, PlainLog, plain_log
from app.events.vocabulary import RAW_COLUMNS
from tests.handmade import read_events

LATEST = datetime(2024, 2, 29, 12, 0, 0, 999)
HEADER = ",".join(RAW_COLUMNS)
PLAIN = dict(
    zip(
        RAW_COLUMNS,
        [
            "2019-10-01 00:00:00 UTC",
            "view",
            "44600062",
            "2103807459595387724",
            "a.b",
            "acme",
            "35.79",
            "541312140",
            "s-1",
        ],
        strict=True,
    )
)
OTHER_COLUMNS = Columns(
    event_time="at",
    event_type="what",
    product_id="sku",
    price="cost",
    user_id="who",
    quantity="pieces",
    order_id="order",
)
OTHER = Layout(
    columns=OTHER_COLUMNS,
    event_types={"AddToCart": "cart", "transaction": "purchase"},
    time=TimeFormat(format="epoch_milliseconds"),
    delimiter="|",
    ids="text",
)


def log_of(columns: Sequence[str] = RAW_COLUMNS, layout: Layout = REES46, **changes: Any) -> PlainLog:
    log = plain_log(columns, replace(CleaningRules(layout, LATEST, 1000.0), **changes))
    assert log is not None
    return log


def line(**changes: str) -> str:
    return ",".join((PLAIN | changes).values())


def is_plain(log: PlainLog, *lines: str) -> list[bool]:
    events, plain = log.take(pa.array([f"{text}\n" for text in lines], pa.string()))
    assert events.num_rows == sum(plain.to_pylist())
    return plain.to_pylist()


PLAIN_FIELDS = {
    "event_time": [
        "2019-10-01T00:00:00",
        "2000-01-01 00:00:00Z",
        "2019-12-31 23:59:59.123456UTC",
        "2024-02-28 23:59:59.9 UTC",
    ],
    "event_type": ["cart", "remove_from_cart", "purchase"],
    "product_id": ["0", "007", "999999999999999999"],
    "category_id": ["", "8999999999999999999", "00"],
    "category_code": ["", "NaN", "null", "NONE", "a b", "été", "中", "-1.0"],
    "brand": ["", "nan", "\u00a0x", "l'oréal", "a\\b", "#"],
    "price": ["", "0", "0.00", "1000", "1000.01", "007.5", "0.1", "123456789012.123456789"],
    "user_id": ["1", "000"],
    "user_session": ["", "none", "a.0b", "1.5", "x y"],
}
OTHER_FIELDS = {
    "event_time": [
        "",
        "2019-02-29 00:00:00",
        "2024-02-29 12:00:00",  # the rules know leap years
        "2019-04-31 00:00:00",
        "2019-10-01 24:00:00",
        "2019-10-01 00:00:60",
        "2019-10-01 00:00:00+02:00",
        "2019-10-01 00:00:00.1234567",
        "2019-10-01",
        "1999-12-31 23:59:59",
        "2024-02-29 12:00:01",
        "2099-01-01 00:00:00",
        " 2019-10-01 00:00:00",
        "2019-10-01 00:00:00 ",
        "20191001",
        "２019-10-01 00:00:00",
    ],
    "event_type": ["", "View", "view ", "click", "views"],
    "product_id": ["", "-1", "+1", "1.0", "1e3", "x", " 1", "1000000000000000000", "9223372036854775808", "１"],
    "category_id": ["-1", "9223372036854775807", "9223372036854775808", "x", "1.0", "1 "],
    "category_code": [" a", "a ", '"a"', 'a"', "a\tb", "\0", "\x7f"],
    "brand": ['""', "a,b", '"a,b"', "a\rb"],
    "price": ["-1", "1e3", "NaN", "Infinity", ".5", "5.", "1 000", "1,5", "free"],
    "user_id": ["", "x", "12.0", "-7"],
    "user_session": ["12.0", "x.0", " s", '"s"'],
}


@pytest.mark.parametrize("name", RAW_COLUMNS)
def test_fields_written_in_the_usual_way_are_plain_and_others_are_not(name: str) -> None:
    log = log_of()
    assert is_plain(log, *(line(**{name: text}) for text in PLAIN_FIELDS[name])) == [True] * len(PLAIN_FIELDS[name])
    assert is_plain(log, *(line(**{name: text}) for text in OTHER_FIELDS[name])) == [False] * len(OTHER_FIELDS[name])


@pytest.mark.parametrize("text", ["", " ", HEADER, line() + ",", line() + ",x", line().rpartition(",")[0]])
def test_lines_of_other_fields_are_not_plain(text: str) -> None:
    assert is_plain(log_of(), text, line()) == [False, True]


def test_a_line_becomes_its_event() -> None:
    events, _ = log_of().take(pa.array([line(price="1000.5", category_code="", user_session="null") + "\n"]))
    (event,) = events.to_pylist()
    assert event == {
        "event_time": datetime(2019, 10, 1),
        "event_type": "view",
        "product_id": 44600062,
        "user_id": 541312140,
        "user_session": None,
        "listed_price": 1000.5,
        "price": None,
        "quantity": 1.0,
        "category_id": 2103807459595387724,
        "category_code": "unknown",
        "brand": "acme",
        "user_key": None,
        "product_key": None,
        "event_id": None,
        "order_id": None,
        "recommendation_id": None,
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"leave_out": (Rule(reason="tests", column="brand", missing=True),)},
        {"time": TimeFormat(zone="Europe/Paris")},
        {"time": TimeFormat(format="d/M/yyyy H:mm")},
        {"columns": REES46.columns.model_copy(update={"event_id": "user_session"})},
        {"columns": REES46.columns.model_copy(update={"brand": "category_code"})},
        {"delimiter": " "},
        {"event_types": {"Buy": "purchase", "BUY": "cart"}},
    ],
)
def test_where_a_rule_has_to_decide_no_line_is_plain(changed: dict[str, Any]) -> None:
    assert plain_log(RAW_COLUMNS, CleaningRules(REES46.model_copy(update=changed), LATEST, 1000)) is None


def by_rules(spark: SparkSession, file: Path, layout: Layout) -> list[tuple[Any, ...]]:
    """Events of a file, in any order."""
    parsed = parse(read_events(spark, str(file), layout), LATEST, 1000, layout)
    assert parsed.where("reason is not null").count() == 0
    return sorted(map(tuple, event_rows(parsed, layout).select(*CHOSEN_BY).collect()), key=repr)


def by_plain(log: PlainLog, lines: Sequence[str]) -> list[tuple[Any, ...]]:
    events, plain = log.take(pa.array([f"{text}\r\n" for text in lines], pa.string()))
    assert all(plain.to_pylist())
    return sorted((tuple(event.values()) for event in events.select(CHOSEN_BY).to_pylist()), key=repr)


def test_the_rules_make_the_same_of_plain_fields(spark: SparkSession, tmp_path: Path) -> None:
    lines = [line(**{name: text}) for name, texts in PLAIN_FIELDS.items() for text in texts]
    file = tmp_path / "log.csv"
    file.write_text("\n".join([HEADER, *lines]))
    assert by_plain(log_of(), lines) == by_rules(spark, file, REES46)
    rules = event_rows(parse(read_events(spark, str(file)), LATEST, 1000))
    assert {(field.name, str(field.type)) for field in to_arrow_schema(rules.schema)} - {("copies", "int64")} == {
        (field.name, str(getattr(field.type, "value_type", field.type))) for field in PLAIN_SCHEMA
    }


def test_another_layout_is_read_as_by_the_rules(spark: SparkSession, tmp_path: Path) -> None:
    """Ids of text, times since 1970, the shop's own words, orders, and a column that nobody asked for."""
    header = "at|what|note|sku|cost|who|pieces|order"
    lines = [
        "1569888000123|AddToCart|any, thing|7|9.5|12|3|o-1",
        "1569888000000|addtocart||0||999||",
        "1569888000999|transaction|x|123|1|1|0|1.5",
        "946684800000|view|x|123|1|1|999999|null",
    ]
    ruled = [
        "1569888000123|ADDTOCART||7|9.5|12|3|o-1",
        "1569888000123|view||007|9.5|12|3|o-1",
        "1569888000123|view||7|9.5|ann|3|o-1",
        "1569888000123|view||7|9.5|1|1000000|o-1",
        "1569888000123|view||7|9.5|1|1.5|o-1",
        "1569888000123|view||7|9.5|1|1|1.0",
        "946684799999|view||7|9.5|1|1|1",
        "1709208000001|view||7|9.5|1|1|1",
        "1569888000|view||7|9.5|1|1|1",
    ]
    log = log_of(header.split("|"), OTHER)
    assert is_plain(log, *lines, *ruled) == [True] * len(lines) + [False] * len(ruled)
    file = tmp_path / "log.csv"
    file.write_text("\n".join([header, *lines]))
    assert by_plain(log, lines) == by_rules(spark, file, OTHER)


FIELD = {
    name: st.sampled_from([PLAIN[name]] * 5 + PLAIN_FIELDS[name] + OTHER_FIELDS[name])
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), max_size=6)
    for name in ("category_code", "brand", "user_session", "event_time", "price", "category_id")
}
LINES = st.lists(st.fixed_dictionaries(FIELD).map(lambda fields: line(**fields)), min_size=30, max_size=120)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES)
def test_the_rules_make_the_same_of_whatever_is_plain(lines: list[str], spark: SparkSession, tmp_path: Path) -> None:
    log = log_of()
    plain = [text for text, which in zip([*lines, line()], is_plain(log, *lines, line()), strict=True) if which]
    file = tmp_path / "log.csv"
    file.write_text("\n".join([HEADER, *plain]), newline="")
    assert by_plain(log, plain) == by_rules(spark, file, REES46)


def both_ways(spark: SparkSession, folder: Path, monkeypatch: pytest.MonkeyPatch, **lists: Any) -> CleaningReport:
    """A folder cleaned with plain lines taken out and without: the report of the first; all rows are the same."""
    reports = []
    taken = reading.take_plain
    for name, way in (("plain", taken), ("rules", lambda *_: None)):
        monkeypatch.setattr(reading, "take_plain", way)
        reports.append(
            ingest(spark, Settings(max_rejected_share=0.9), str(folder), folder.parent / name, "s", LATEST, **lists)
        )
    monkeypatch.setattr(reading, "take_plain", taken)
    one, other = reports
    assert replace(one, cleaned=other.cleaned, rejected_table=other.rejected_table) == other
    events = [pq.read_table(report.cleaned).to_pylist() for report in reports]
    assert sorted(events[0], key=repr) == sorted(events[1], key=repr)
    if one.rejected_table and other.rejected_table:
        rejected = [pq.read_table(report.rejected_table).to_pylist() for report in reports if report.rejected_table]
        assert sorted(rejected[0], key=repr) == sorted(rejected[1], key=repr)
    assert {path.name.partition("_")[0] for path in one.cleaned.parent.iterdir()} <= {"cleaned", "rejected"}
    return one


@pytest.fixture
def small_pieces(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files are read by several tasks, and their users shared out into several parts."""
    monkeypatch.setattr(pieces, "LEAST_BYTES", 1_000)
    monkeypatch.setattr(pieces, "MOST_BYTES", 1_000)
    monkeypatch.setattr(reading, "SMALL_BYTES", 0)
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "3")
    yield
    spark.conf.set("spark.sql.shuffle.partitions", str(before))


def logs(tmp_path: Path, *files: Sequence[str]) -> Path:
    """A folder with files of these lines, named so that they are read in this order."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for number, lines in enumerate(files):
        (folder / f"{number:02}.csv").write_text("\n".join(lines))
    return folder


def some(first: int, count: int = 30) -> list[str]:
    """Plain lines."""
    return [
        line(user_id=str(user % 9), product_id=str(user), user_session=f"s{user % 9}")
        for user in range(first, first + count)
    ]


def test_small_files_are_looked_at_together(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rejected row is said to be of its own file."""
    bad = ([line(user_id=f"of {number}")] * (number % 3) for number in range(1, 12))
    others = ([HEADER, *some(10 * number, number), *rows] for number, rows in enumerate(bad, 1))
    folder = logs(tmp_path, [HEADER, line()], *others)
    report = both_ways(spark, folder, monkeypatch)
    assert (report.read, report.rejected) == (1 + 66 + 12, 12)


@pytest.mark.usefixtures("small_pieces")
def test_files_are_cleaned_the_same_both_ways(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers, blank lines, a header in the midst, doubles, bad rows, quotes, ends of lines, gzip, no end."""
    folder = tmp_path / "logs of a shop at 100%"
    folder.mkdir()
    odd = [line(brand='"a, b"'), line(brand='a"b'), line(user_id="x"), "a,b", line() + ",more", line(price="-1")]
    odd += [line(user_id="8") + "\r" + line(user_id="7")]
    (folder / "a.csv").write_text("\n".join([HEADER, *some(0), "", " \t ", *odd, HEADER, *some(0, 3), *some(100)]))
    (folder / "b.csv").write_bytes(("\ufeff" + "\r\n".join([HEADER, *some(50), line(event_type="")]) + "\r\n").encode())
    (folder / "c.csv").write_text(HEADER + "\n")
    with gzip.open(folder / "d.csv.gz", "wt") as file:
        file.write("\n".join([HEADER, *some(200, 5), line(event_time="2019-02-29 00:00:00")]) + "\n\n")
    (folder / "e.csv").write_bytes(b"\n".join([HEADER.encode(), line(brand="?").encode().replace(b"?", b"\xff\xfe")]))
    surrogates = [line(brand="?", user_id=str(user)).encode() for user in range(60, 90)]
    bad = [b"\xed\xa0\xbd\xed\xb8\x80", b"\xf4\x90\x80\x80"]  # no UTF-8, but text to RE2
    texts = [HEADER.encode(), *surrogates[2:], *(surrogates[i].replace(b"?", text) for i, text in enumerate(bad))]
    (folder / "f.csv").write_bytes(b"\n".join(texts))
    report = both_ways(spark, folder, monkeypatch)
    assert (report.read, report.kept, report.duplicates, report.rejected) == (140, 128, 6, 6)


@pytest.mark.usefixtures("small_pieces")
def test_every_part_has_the_users_that_spark_would_send_there(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain rows of a user and others lie in one part, where doubles are found."""
    lines = [line(user_id=str(user), price="1e1" if user % 2 else "10") for user in range(200)]
    ruled = [line(user_id=str(user), price="1e1") for user in range(200)]
    folder = logs(tmp_path, [HEADER, *some(0), *lines, *ruled])
    report = both_ways(spark, folder, monkeypatch)
    assert (report.kept, report.duplicates) == (30 + 200, 200)
    users = [set(pq.read_table(file)["user_id"].to_pylist()) for file in sorted(report.cleaned.glob("part-*"))]
    assert len(users) == 3
    assert all(users)
    assert sum(map(len, users)) == 200


def test_columns_may_have_any_name(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also none, as the index that pandas writes, or names of ours."""
    texts = [f"{number},x,{text},y" for number, text in enumerate([*some(0), line(user_id="x"), line(price="1e1")])]
    folder = logs(tmp_path, [f",source_file,{HEADER},a`b c.d", *texts])
    report = both_ways(spark, folder, monkeypatch)
    assert (report.kept, report.rejected) == (31, 1)


def test_a_header_without_rows_is_passed_over(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = logs(tmp_path, [HEADER, ""], [HEADER, *some(0)])
    taken = []
    whole = reading.take_plain
    monkeypatch.setattr(reading, "take_plain", lambda *arguments: taken.append(whole(*arguments)) or taken[-1])
    assert ingest(spark, Settings(), str(folder), tmp_path / "out", "s", LATEST).kept == 30
    assert taken[0] is not None
    assert taken[0].rest is None


def test_users_who_were_forgotten_or_merged_keep_their_rules(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = logs(tmp_path, [HEADER, *some(0)])
    moment = int(datetime(2020, 1, 1).timestamp() * 1e6)
    forgotten = Forgotten("salt", {hashed("salt", 3): moment})
    merged = Merged.of([Merge(user=4, into=5, into_key="5", at=moment)])
    report = both_ways(spark, folder, monkeypatch, forgotten=forgotten, merged=merged)
    users = set(pq.read_table(report.cleaned)["user_id"].to_pylist())
    assert users == {*range(9)} - {3, 4}
    assert sum(report.left_out.values()) == sum(text.split(",")[7] == "3" for text in some(0))


@pytest.mark.parametrize(
    "second",
    [
        '"' + HEADER.replace(",", '","') + '"',  # the same names
        HEADER.upper(),
        "\n" + HEADER,
    ],
)
def test_files_whose_headers_are_written_otherwise_are_left_to_the_rules(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    folder = logs(tmp_path, [HEADER, *some(0)], [second, *some(40)])
    assert both_ways(spark, folder, monkeypatch).kept == 60


def test_another_header_is_refused_as_ever(spark: SparkSession, tmp_path: Path) -> None:
    folder = logs(tmp_path, [HEADER, *some(0)], [HEADER.replace("brand", "make"), *some(40)])
    with pytest.raises(Exception, match="CSV header does not conform to the schema"):
        ingest(spark, Settings(), str(folder), tmp_path / "out", "s", LATEST)
