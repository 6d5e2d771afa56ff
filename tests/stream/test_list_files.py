"""Lists as files: replaced whole, kept for so many micro-batches, read back."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from app.events.archive_names import Epochs
from app.serve.lists import ARROW_SCHEMA
from app.stream import csv_parts
from app.stream.csv_parts import CsvParts
from app.stream.list_files import drop_uncounted, prune, write_part
from tests.stream.lists import latest_lists, read_lists

FIRST = Epochs(((1, 0),))
AT = datetime(2024, 5, 6, tzinfo=UTC)


def lists(*places: tuple[int, int]) -> pa.Table:
    """(user, product), ranked as they come."""
    ranks: dict[int, int] = {}
    rows = []
    for user, product in places:
        ranks[user] = ranks.get(user, 0) + 1
        values = (user, product, ranks[user], 0.5, "a.x", 'say "acme", inc', 2.5, "hybrid", "als", 9, "v", AT)
        rows.append(dict(zip(ARROW_SCHEMA.names, values, strict=True)))
    return pa.Table.from_pylist(rows, ARROW_SCHEMA)


def written(folder: Path, *parts: tuple[int, int, pa.Table]) -> tuple[Path, Path]:
    parquet, csv = folder / "lists", folder / "csv"
    for place in (parquet, csv):
        place.mkdir(exist_ok=True)
    for batch, partition, table in parts:
        write_part(table, parquet, csv, batch, 1, partition)
    return parquet, csv


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    table = lists((1, 10), (1, 11), (2, 10))
    parquet, csv = written(tmp_path, (3, 1, table))
    assert [path.name for path in parquet.iterdir()] == ["batch-000000003-e000001-001.parquet"]
    read = pacsv.read_csv(csv / "batch-000000003-e000001-001.csv").to_pylist()
    assert [(row["user_id"], row["product_id"], row["rank"], row["main_brand"]) for row in read] == [
        (1, 10, 1, 'say "acme", inc'),
        (1, 11, 2, 'say "acme", inc'),
        (2, 10, 1, 'say "acme", inc'),
    ]
    assert list(read[0]) == ARROW_SCHEMA.names
    assert read_lists(parquet, FIRST).drop("batch").equals(table)


def test_written_again_it_replaces(tmp_path: Path) -> None:
    parquet, _ = written(tmp_path, (3, 0, lists((1, 10), (2, 10))), (3, 0, lists((1, 12))))
    assert read_lists(parquet, FIRST)["product_id"].to_pylist() == [12]


def test_the_last_list_of_each_user(tmp_path: Path) -> None:
    parts = ((1, 0, lists((1, 10), (1, 11), (2, 20))), (2, 1, lists((1, 12), (1, 13))), (3, 0, lists((3, 30))))
    parquet, _ = written(tmp_path, *parts)
    last = latest_lists(parquet, FIRST).sort_by([("user_id", "ascending"), ("rank", "ascending")]).to_pylist()
    assert [(row["user_id"], row["product_id"], row["batch"]) for row in last] == [
        (1, 12, 2),
        (1, 13, 2),
        (2, 20, 1),
        (3, 30, 3),
    ]
    assert len(latest_lists(tmp_path, FIRST)) == 0


def test_old_parts_are_pruned(tmp_path: Path) -> None:
    parquet, _ = written(tmp_path, *((batch, part, lists((1, 10))) for batch in range(4) for part in range(2)))
    (parquet / "batch-000000001-000.parquet").touch()  # of the first edition
    prune(parquet, 2)
    assert {path.name.split("-")[1][-1] for path in parquet.iterdir()} == {"2", "3"}
    assert len(list(parquet.iterdir())) == 4


def test_lists_of_a_stream_that_was_replaced_do_not_count(tmp_path: Path) -> None:
    """The second stream began at micro-batch 2; the first, paused meanwhile, wrote its own 2 and 3 later."""
    epochs = Epochs(((1, 0), (2, 2)))
    parquet, csv = written(tmp_path, *((batch, 0, lists((1, 10 + batch))) for batch in range(4)))
    write_part(lists((1, 20)), parquet, csv, 2, 2, 0)
    assert read_lists(parquet, epochs)["product_id"].to_pylist() == [10, 11, 20]
    drop_uncounted(parquet, epochs)
    assert sorted(path.name for path in parquet.iterdir()) == [
        "batch-000000000-e000001-000.parquet",
        "batch-000000001-e000001-000.parquet",
        "batch-000000002-e000002-000.parquet",
    ]


def test_readers_pass_over_a_part_being_written(tmp_path: Path) -> None:
    parquet, _ = written(tmp_path, (1, 0, lists((1, 10))))
    (parquet / ".batch-000000002-000.parquet.1f2e.part").write_bytes(b"half")
    assert read_lists(parquet, FIRST)["batch"].to_pylist() == [1]


def test_a_csv_that_is_lost_is_written_again_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once where it is gone, in its turn where it is cut short; not of what is under way, or counts for nobody."""
    table = lists((1, 10), (1, 11), (2, 10))
    parquet, csv = written(tmp_path, *((batch, 0, table) for batch in range(6)))
    whole = {path.name: path.read_bytes() for path in csv.iterdir()}
    gone, cut, damaged, late, replaced, _ = sorted(whole)
    epochs, told = Epochs(((1, 0), (2, 4))), list[str]()
    monkeypatch.setattr(csv_parts, "AT_ONCE", 2)
    parts = CsvParts(parquet, csv, told.append)
    for _ in range(3):
        parts.mend(epochs, 3)
    assert told == []
    (csv / gone).unlink()
    (csv / cut).write_bytes(whole[cut][:-60])
    (csv / damaged).write_bytes(b"")
    (csv / replaced).unlink()
    parts.mend(epochs, 2)
    assert (csv / gone).read_bytes() == whole[gone]
    parts.mend(epochs, 2)
    parts.mend(epochs, 2)
    assert {path.name: path.read_bytes() for path in csv.iterdir()} == {
        name: content for name, content in whole.items() if name != replaced
    }
    assert len(told) >= 1
    assert all(line.startswith(f"{csv}: batch-") and line.endswith(f"written again from {parquet}") for line in told)
    (csv / late).unlink()
    parts.mend(epochs, 2)
    assert not (csv / late).exists(), "its micro-batch is under way"
    (parquet / late.replace(".csv", ".parquet")).write_bytes(b"PAR1")
    parts.mend(epochs, 3)  # of this the accounts tell
    assert not (csv / late).exists()
