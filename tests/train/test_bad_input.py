"""Bad input, as a user meets it: one clear line and an exit code, or rows in `rejected`, never a trace.

One subprocess (this file run as a script) plays all cases in one Spark session, so that what the JVM
and its Python workers print to standard error is seen as well; test_jobs.py sends a missing log through the
commands themselves. What is about single rows, or single lines, of a log stands in one log: a run takes a second.
"""

import csv
import gzip
import io
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from app.events.vocabulary import RAW_COLUMNS
from app.synthetic import generate

GOOD_ROWS = 200
NOISE = re.compile(r"Traceback|at org\.apache|at java\.|at scala\.|Caused by|Exception in thread|py4j\.|\.py\", line")
Row = dict[str, Any]


def event(i: int, **changes: Any) -> Row:
    """A valid row of the log, no two alike."""
    row = {
        "event_time": f"2019-10-01 {i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02} UTC",
        "event_type": "view",
        "product_id": 1_000_000 + i,
        "category_id": 2_053_013_555_631_882_655,
        "category_code": "electronics.smartphone",
        "brand": "acme",
        "price": "10.50",
        "user_id": 500_000_000 + i % 50,
        "user_session": f"session-{i % 50}",
    }
    return row | changes


def table(rows: Sequence[Row], columns: Sequence[str] = RAW_COLUMNS, delimiter: str = ",", end: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=delimiter, lineterminator=end, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


GOOD = [event(i) for i in range(GOOD_ROWS)]


def with_bad(count: int, total: int = GOOD_ROWS, **changes: Any) -> str:
    """A log of which `count` rows are changed."""
    return table([event(i, **changes) if i < count else event(i) for i in range(total)])


@dataclass(frozen=True)
class Refused:
    """Input that must end in exit code 2 and one line that matches all of `says`."""

    name: str
    make: Callable[[Path], Any]
    says: Sequence[str]
    events: str = "in.csv"
    flags: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Accepted:
    """Input that must be read; `rejected` rows by reason, `kept` distinct events."""

    name: str
    make: Callable[[Path], Any]
    kept: int
    rejected: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    events: str = "in.csv"
    flags: dict[str, Any] = field(default_factory=dict)


def text(content: str, name: str = "in.csv", encoding: str = "utf-8") -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(content, encoding=encoding, newline="")


def data(content: bytes, name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(content)


def files(contents: dict[str, str | bytes]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    return make


def parquet(rows: Sequence[Row], name: str = "in.parquet", **types: str) -> Callable[[Path], Any]:
    def make(folder: Path) -> None:
        frame = pd.DataFrame(rows)
        for column, kind in types.items():
            frame[column] = pd.to_datetime(frame[column]) if kind == "time" else frame[column].astype(kind)
        frame.to_parquet(folder / name)

    return make


def generated(name: str) -> Callable[[Path], Any]:
    return lambda folder: generate(folder / name, 500, 1, days=2)


def without(column: str) -> str:
    return table(GOOD, [name for name in RAW_COLUMNS if name != column])


BINARY = random.Random(1).randbytes(50_000)
ENDLESS = bytes(byte for byte in BINARY if byte not in b"\r\n") * 4
PACKED = gzip.compress(with_bad(0, 5_000).encode())

REFUSED = [
    Refused("missing file", lambda folder: None, [r"in\.csv: no such file", "--events"]),
    Refused("empty file", text(""), [r"in\.csv: the file is empty"]),
    Refused("only blank lines", text("\n\n\n"), [r"in\.csv: is not an event log"]),
    Refused("header only", text(table([])), [r"in\.csv: has a header but no rows"]),
    Refused("missing column", text(without("price")), [r"in\.csv: column price is missing; it has event_time"]),
    Refused("semicolons", text(table(GOOD, delimiter=";")), [r"in\.csv", "--delimiter ';'"]),
    Refused("tabs", text(table(GOOD, delimiter="\t")), [r"in\.csv", r"--delimiter \$'\\t'"]),
    Refused("wrong --delimiter", text(table(GOOD)), [r"in\.csv", "--delimiter ','"], flags={"delimiter": ";"}),
    Refused("impossible --delimiter", text(table(GOOD)), ["--delimiter '\"'"], flags={"delimiter": '"'}),
    Refused("binary", data(BINARY, "in.csv"), [r"in\.csv: is not an event log"]),
    Refused("binary, one endless line", data(ENDLESS, "in.csv"), [r"in\.csv: is not an event log"]),
    Refused("binary .csv.gz", data(BINARY, "in.csv.gz"), [r"in\.csv\.gz: .*not gzip"], "in.csv.gz"),
    Refused("binary .parquet", data(BINARY, "in.parquet"), [r"in\.parquet: .*not Parquet"], "in.parquet"),
    Refused("truncated gzip", data(PACKED[:-2_000], "in.csv.gz"), [r"in\.csv\.gz: .*truncated"], "in.csv.gz"),
    Refused("damaged gzip", data(PACKED[:9_000] + BINARY[:3_000] + PACKED[12_000:], "in.csv.gz"),
            [r"in\.csv\.gz: .*damaged"], "in.csv.gz"),
    Refused("truncated Parquet", lambda folder: (generated("in.parquet")(folder),
            os.truncate(folder / "in.parquet", 9_000)), [r"in\.parquet: .*not Parquet"], "in.parquet"),
    Refused("20 % bad rows", text(with_bad(40, event_type="hover")),
            [r"in\.csv: 40 of 200 rows \(20\.0%\)", r"unknown event_type: 40", "--max-rejected-share 5%"]),
    Refused("all rows bad", text(with_bad(200, user_id="")), [r"200 of 200 rows"], flags={"max_rejected_share": 1}),
    Refused("folder without events", files({"notes.txt": "x", "_hidden.csv": table(GOOD)}),
            ["holds no event files"], "."),
    Refused("glob without match", text(table(GOOD)), [r"\*\.tsv: no such file"], "*.tsv"),
    Refused("hidden file", files({"_in.csv": table(GOOD)}), [r"_in\.csv: .*hidden"], "_in.csv"),
    Refused("headers differ", files({"a.csv": table(GOOD), "b.csv": table(GOOD, RAW_COLUMNS[::-1])}),
            [r"b\.csv: the files' headers differ"], "."),
    Refused("header counts differ", files({"a.csv": table(GOOD), "b.csv": without("brand")}),
            [r"b\.csv: the files' headers differ"], "."),
    Refused("column twice", text(table(GOOD, [*RAW_COLUMNS, "price"])), [r"in\.csv: column 'price' is there twice"]),
    Refused("Parquet without a column", parquet([{k: v for k, v in row.items() if k != "brand"} for row in GOOD]),
            [r"in\.parquet: column brand is missing"], "in.parquet"),
    Refused("Parquet types differ", lambda folder: (parquet(GOOD, "a.parquet")(folder),
            parquet(GOOD, "b.parquet", product_id="str")(folder)), [r"[ab]\.parquet: .*type"], "."),
    Refused("second of two missing", text(table(GOOD)), [r"other\.csv: no such file"], "in.csv,other.csv"),
    Refused("second of two lacks a column", files({"in.csv": table(GOOD), "b.csv": without("brand")}),
            [r"b\.csv: column brand is missing"], "in.csv,b.csv"),
    Refused("empty path in a list", text(table(GOOD)), ["--events", "empty path"], "in.csv,,in.csv"),
    Refused("output beneath a file", files({"in.csv": table(GOOD), "taken": "a file"}),
            ["output folder", "taken/out", "cannot be written to"], flags={"output": "taken/out"}),
    Refused("output is a file", files({"in.csv": table(GOOD), "taken": "a file"}),
            ["output folder", "taken", "cannot be written to"], flags={"output": "taken"}),
    Refused("no log and no table", lambda folder: None, ["no --events given", "cleaned_data_"], ""),
]  # fmt: skip

TIMES = {
    "unparsable event_time": ["2019-13-45 00:00:00 UTC", "12:00:00", "yesterday", "", "2019-10-01", "0"],
    "event_time out of range": ["1970-01-01 00:00:00 UTC", "2150-01-01 00:00:00 UTC", "9999-12-31 23:59:59 UTC"],
}
BAD_TIMES = [when for group in TIMES.values() for when in group]
PRICES = [
    "-5",
    "-0.01",
    "0",
    "1e308",
    "1e309",
    "99999999999999999999",
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "abc",
    "",
]
BIG_IDS = [2**31, 2**32 + 1, 2**63 - 1]
TOO_BIG_IDS = [2**63, 10**30, "1.5e9", "abc", "", "-"]
# A line ends a row: both halves of one with a newline in a field are rejected, neither is lost.
NEWLINES = ["a\nb", "c\r\nd"]
QUOTED = ['say "hello"', "a,b,c", "'", '"', "комфорт", "🛍️", "a;b\tc"]


#: Values that rows of one log have, by column; the rows of the n-th column are numbered from 1,000 + 100 n.
STRANGE: dict[str, list[Any]] = {
    "event_time": BAD_TIMES,
    "price": PRICES,
    "product_id": BIG_IDS + TOO_BIG_IDS,
    "user_id": TOO_BIG_IDS,
    "brand": [*QUOTED, "a\0b", *NEWLINES],
}
STRANGE_ROWS = [
    event(1_000 + 100 * number + i, **{column: value})
    for number, (column, values) in enumerate(STRANGE.items())
    for i, value in enumerate(values)
]
#: Headers that are told apart by the names in them: files of one log, each of events of its own.
HEADERS: dict[str, str | bytes] = {
    "bom.csv": table(GOOD).encode("utf-8-sig"),
    "crlf.csv": table([event(1_000 + i) for i in range(GOOD_ROWS)], end="\r\n"),
    "order.csv": table([event(2_000 + i) for i in range(GOOD_ROWS)], RAW_COLUMNS[::-1]),
    "more.csv": table([event(3_000 + i, **{"x.y": 1, "": 2}) for i in range(GOOD_ROWS)], ["", *RAW_COLUMNS, "x.y"]),
    "spaces.csv": table([event(4_000 + i) for i in range(GOOD_ROWS)]).replace(",brand,", ", brand ,", 1),
}


ACCEPTED = [
    Accepted("good", text(table(GOOD)), GOOD_ROWS),
    Accepted("one bad row in a thousand", text(with_bad(1, 1_000, product_id="?")), 999,
             {"missing or invalid product_id": 1}),
    Accepted("strange values", text(table([*STRANGE_ROWS, *GOOD])),
             GOOD_ROWS + len(PRICES) + len(BIG_IDS) + len(QUOTED) + 1,
             {reason: len(group) for reason, group in TIMES.items()} | {
                 "missing or invalid product_id": len(TOO_BIG_IDS),
                 "missing or invalid user_id": len(TOO_BIG_IDS),
                 "wrong column count or quoting": 2 * len(NEWLINES),
             }, flags={"max_rejected_share": 0.2}),
    # Wrong column counts among blank lines, and a last row that is cut.
    Accepted("broken lines", text(table(GOOD).replace("\n", "\n1,2,3\n" + "," * 30 + "\n" + "," * 30_000 + "\nx\n", 1)
             .replace("\n", "\n\n")[:-40]), GOOD_ROWS - 1, {"wrong column count or quoting": 5}),
    Accepted("Latin-1", text(table([event(1_000, brand="séché"), *GOOD]), encoding="latin-1"), GOOD_ROWS + 1),
    Accepted("headers of all kinds", files(HEADERS), 5 * GOOD_ROWS, events=",".join(HEADERS)),
    Accepted("tabs, said so", text(table(GOOD, delimiter="\t")), GOOD_ROWS, flags={"delimiter": "\t"}),
    Accepted("some empty files", files({"a.csv": table(GOOD), "b.csv": "", "c.csv": table([])}), GOOD_ROWS, events="."),
    Accepted("names with glob characters", files({"a [1].csv": table(GOOD), "b{2}*.csv": table([event(999)])}),
             GOOD_ROWS + 1, events="."),
    Accepted("one name with glob characters", files({"a[1].csv": table(GOOD)}), GOOD_ROWS, events="a[1].csv"),
    Accepted("glob with braces", files({"a.csv": table(GOOD), "b.csv": table([event(999)]), "c.csv": "?"}),
             GOOD_ROWS + 1, events="{a,b}.csv"),
    Accepted("gzip", data(PACKED, "in.csv.gz"), 5_000, events="in.csv.gz"),
    Accepted("Parquet as generated", generated("in.parquet"), 500, events="in.parquet"),
    Accepted("Parquet with times of pandas", parquet(GOOD, event_time="time"), GOOD_ROWS, events="in.parquet"),
    Accepted("Parquet, all text", parquet([{k: str(v) for k, v in row.items()} for row in GOOD]), GOOD_ROWS,
             events="in.parquet"),
    Accepted("CSV and Parquet in one folder", lambda folder: (text(table(GOOD))(folder),
             generated("b.parquet")(folder)), GOOD_ROWS + 500, events="."),
    Accepted("a list of sources", lambda folder: (files({"in.csv": table(GOOD), "more/b.csv": table([event(999)],
             RAW_COLUMNS[::-1])})(folder), generated("b.parquet")(folder)), GOOD_ROWS + 501,
             events="in.csv, more,*.parquet"),
    Accepted("exact duplicates, in a file that is named twice and read once", text(table([*GOOD, *GOOD[:7]])),
             GOOD_ROWS, duplicates=7, events="in.csv,*.csv,."),
]  # fmt: skip
#: The output is on a file system of `DISK` bytes, which the table does not fit on.
FULL = Refused(
    "full disk",
    lambda folder: generate(folder / "in.csv", 12_000, 1, days=2),
    ["the disk is full"],
    flags={"output": "disk/out"},
)
DISK = 65_536
CASES: list[Refused | Accepted] = [*REFUSED, FULL, *ACCEPTED]
LOG_TOTALS = {"Parquet as generated", "CSV and Parquet in one folder", "a list of sources"}  # hold exact duplicates


@dataclass(frozen=True)
class Outcome:
    """What a run left: exit code, what it found, standard error."""

    code: int
    found: dict[str, Any]
    stderr: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.stderr.splitlines() if "error" in line.lower()]


def play(folder: Path) -> None:
    """Clean the log of every case in one Spark session; what `main` of the subprocess does."""
    from app.core.settings import Settings, load_settings
    from app.core.spark import create_session
    from app.jobs.guard import guarded, say
    from app.train.context import Run
    from app.train.stages import clean_log

    spark = create_session(Settings(master="local[2]", driver_memory="1g", shuffle_partitions=1), "bad input")
    for number, case in enumerate(CASES):
        here = folder / str(number)
        output = here / case.flags.get("output", "out")
        events = ",".join(str(here / part.strip()) if part else "" for part in split(case.events)) or None
        found: dict[str, Any] = {}

        def work(case=case, events=events, output=output, found=found) -> None:
            settings = load_settings(**case.flags | {"events": events, "output": output})
            log = clean_log(Run.start(spark, settings, datetime.now(UTC), 1, say))
            found["cleaning"] = log.cleaning.model_dump()
            found["paths"] = {"cleaned": str(log.cleaned), "rejected": str(log.rejected)}

        say(f"case {number}")
        code: int | str | None = 0
        try:
            with guarded():
                work()
        except SystemExit as ended:
            code = ended.code
        (folder / f"{number}.json").write_text(json.dumps({"code": code, "found": found}))
    say("case end")
    spark.stop()


def split(events: str) -> list[str]:
    return re.split(r",(?![^{]*\})", events)


def mounted(folder: Path) -> bool:
    """A small file system there, where one may be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """Of all cases by name; that of a full disk is not there where none can be mounted."""
    folder = tmp_path_factory.mktemp("cases")
    for number, case in enumerate(CASES):
        (folder / str(number)).mkdir()
        case.make(folder / str(number))
    disk = folder / str(CASES.index(FULL)) / "disk"
    small = mounted(disk)
    try:
        done = subprocess.run([sys.executable, __file__, str(folder)], capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr
        parts = re.split(r"^case (?:\d+|end)\n", done.stderr, flags=re.MULTILINE)
        assert len(parts) == len(CASES) + 2
        results = [json.loads((folder / f"{number}.json").read_text()) for number in range(len(CASES))]
        yield {
            case.name: Outcome(result["code"], result["found"], part)
            for case, result, part in zip(CASES, results, parts[1:], strict=False)
            if small or case != FULL
        }
    finally:
        if small:
            subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("case", [*REFUSED, FULL], ids=lambda case: case.name)
def test_refused_with_one_clear_line(case: Refused, outcomes: dict[str, Outcome]) -> None:
    if case.name not in outcomes:
        pytest.skip("mounting a small file system needs root")
    outcome = outcomes[case.name]
    assert outcome.code == 2, outcome.stderr
    assert not NOISE.search(outcome.stderr), outcome.stderr
    assert len(outcome.errors) == 1, outcome.stderr
    assert outcome.errors[0].startswith("error: ")
    assert len(outcome.errors[0]) < 600
    for pattern in case.says:
        assert re.search(pattern, outcome.errors[0]), outcome.errors[0]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_accepted_with_every_row_accounted_for(case: Accepted, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[case.name]
    assert outcome.code == 0, outcome.stderr
    assert not NOISE.search(outcome.stderr), outcome.stderr
    assert not outcome.errors, outcome.stderr
    rows = outcome.found["cleaning"]
    assert rows["reasons"] == case.rejected
    assert rows["rejected"] == sum(case.rejected.values())
    assert rows["read"] == rows["kept"] + rows["duplicates"] + rows["rejected"]
    if case.name in LOG_TOTALS:
        assert rows["kept"] + rows["duplicates"] == case.kept
    else:
        assert (rows["kept"], rows["duplicates"]) == (case.kept, case.duplicates)


def test_rejected_rows_are_kept_with_reason_and_source(outcomes: dict[str, Outcome]) -> None:
    table = pd.read_parquet(outcomes["one bad row in a thousand"].found["paths"]["rejected"])
    assert table["reason"].tolist() == ["missing or invalid product_id"]
    assert table["row"].str.contains("?", regex=False).all()
    assert table["source_file"].str.endswith("/in.csv").all()
    table = pd.read_parquet(outcomes["strange values"].found["paths"]["rejected"])
    assert len(table[table["reason"] == "wrong column count or quoting"]) == 2 * len(NEWLINES)
    assert (table["row"].str.len() > 0).all()
    for column in ("product_id", "user_id"):
        lost = table[table["reason"] == f"missing or invalid {column}"]["row"]
        found = [next(csv.reader([row]))[RAW_COLUMNS.index(column)] for row in lost]
        assert sorted(found) == sorted(map(str, TOO_BIG_IDS))
    for reason, times in TIMES.items():
        assert sorted(row.split(",")[0] for row in table[table["reason"] == reason]["row"]) == sorted(times)


def strange(outcomes: dict[str, Outcome], column: str) -> pd.DataFrame:
    """The rows of the cleaned log that have a strange value in a column."""
    frame = pd.read_parquet(outcomes["strange values"].found["paths"]["cleaned"])
    first = 1_001_000 + 100 * [*STRANGE].index(column)
    return frame[frame["product_id"].between(first, first + 99)].sort_values("product_id")


def test_prices_that_are_none_are_missing(outcomes: dict[str, Outcome]) -> None:
    frame = pd.read_parquet(outcomes["strange values"].found["paths"]["cleaned"])
    found = strange(outcomes, "price")
    assert len(found) == len(PRICES)
    assert found["price"].isna().all()
    assert (frame.drop(found.index)["price"] == 10.5).all()


def test_ids_beyond_32_bits_are_kept_exactly(outcomes: dict[str, Outcome]) -> None:
    frame = pd.read_parquet(outcomes["strange values"].found["paths"]["cleaned"])
    assert set(BIG_IDS) <= set(frame["product_id"])


def test_fields_with_quotes_commas_and_nul_survive(outcomes: dict[str, Outcome]) -> None:
    assert strange(outcomes, "brand")["brand"].tolist() == [*QUOTED, "a\0b"]


def test_times_of_pandas_are_read_exactly(outcomes: dict[str, Outcome]) -> None:
    times = [
        pd.read_parquet(outcomes[name].found["paths"]["cleaned"])["event_time"].sort_values().tolist()
        for name in ("good", "Parquet with times of pandas", "Parquet, all text")
    ]
    assert times[0] == times[1] == times[2]


def test_columns_are_found_by_name(outcomes: dict[str, Outcome]) -> None:
    frame = pd.read_parquet(outcomes["headers of all kinds"].found["paths"]["cleaned"])
    for number, name in enumerate(HEADERS):
        rows = frame[frame["product_id"].between(first := 1_000_000 + 1_000 * number, first + 999)]
        assert len(rows) == GOOD_ROWS, name
        assert set(rows["brand"]) == {"acme"}, name
        assert set(rows["price"]) == {10.5}, name
        assert set(rows["user_session"]) == {f"session-{i}" for i in range(50)}, name


def test_a_refused_log_leaves_no_table(outcomes: dict[str, Outcome], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = Path(outcomes["good"].found["paths"]["cleaned"]).parents[3]
    for number, case in enumerate(CASES):
        if isinstance(case, Refused):
            assert not list((folder / str(number)).rglob("cleaned_data_*")), case.name


if __name__ == "__main__":
    play(Path(sys.argv[1]))
