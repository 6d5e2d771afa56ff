"""The accounts tell what an archive has lost, and nothing where nothing is."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.events.archive_manifest import Manifest, write_manifest
from app.events.archive_names import BatchRange, Epochs
from app.stream.accounts import CHUNK, Account, Accounts
from app.stream.archive import Archive
from app.stream.compaction import STEP, delete_old, delete_uncounted, due, put_together

EPOCHS = Epochs(((1, 0), (2, 3)))


def fill(archive: Archive, part: BatchRange, rows: int, written: float = 0) -> None:
    """A folder of so many events, one every five minutes."""
    folder = archive.folder / part.name
    folder.mkdir()
    times = [datetime(2019, 10, 1, 12, 5 * number, tzinfo=UTC) for number in range(rows)]
    table = pa.table({"event_time": pa.array(times, pa.timestamp("us", tz="UTC")), "batch": [part.first] * rows})
    pq.write_table(table, folder / "part-00000.parquet")
    windows = [int(time.timestamp()) * 1_000_000 for time in times]
    write_manifest(folder, Manifest(rows=rows, windows=windows, written=written))


def account(batch: int, rows: int, **others: int) -> Account:
    return Account(
        batch, **({"rows": rows, "archived": rows, "rejected": 0, "left_out": 0, "known": 0} | others), lists=1
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "accounts"
    made.mkdir()
    return made


def accounts_of(folder: Path, archive: Archive, epoch: int = 1) -> Accounts:
    return Accounts(folder, archive, epoch, EPOCHS)


def differences(accounts: Accounts) -> list[str]:
    return [str(difference) for difference in accounts.audit()]


def test_a_loss_is_told(archive: Archive, folder: Path) -> None:
    accounts = accounts_of(folder, archive)
    for batch in range(3):
        fill(archive, BatchRange(batch, batch, 1), 4)
        accounts.write(account(batch, 6, archived=4, rejected=1, left_out=1))
        accounts.committed(batch, 6)
    assert differences(accounts) == []
    (archive.folder / BatchRange(1, 1, 1).name / "part-00000.parquet").unlink()
    (archive.folder / BatchRange(2, 2, 1).name).rename(archive.folder / "elsewhere")
    told = ["micro-batch 1: 4 rows must be there, 0 are", "micro-batch 2: 4 rows must be there, 0 are"]
    assert differences(accounts) == told
    assert differences(accounts_of(folder, archive, 2)) == told  # by the next stream as well


def test_rows_that_never_came_to_the_archive_are_told(archive: Archive, folder: Path) -> None:
    accounts = accounts_of(folder, archive)
    fill(archive, BatchRange(0, 0, 1), 4)
    accounts.write(account(0, 5, archived=4))  # one is nowhere
    accounts.committed(0, 7)  # and Spark gave two more
    accounts.committed(1, 7)  # of an idle stream that was just started: nothing to compare with
    assert differences(accounts) == [
        "micro-batch 0: 5 rows must be there, 4 are",
        "micro-batch 0: 7 rows must be there, 5 are",
    ]


def test_accounts_of_a_stream_that_was_replaced_do_not_count(archive: Archive, folder: Path) -> None:
    """The first began micro-batch 3 as well, with other rows; the last line of another was cut by a kill."""
    accounts_of(folder, archive, 1).write(account(3, 9))
    accounts_of(folder, archive, 2).write(account(3, 4))
    with next(folder.glob("*.e000002.jsonl")).open("a") as file:
        file.write('{"batch": 4, "ro')
    fill(archive, BatchRange(3, 3, 2), 4)
    assert differences(accounts_of(folder, archive, 2)) == []


def test_what_is_put_together_is_still_accounted_for(archive: Archive, folder: Path) -> None:
    accounts = accounts_of(folder, archive, 2)
    batches = [0, 1, 5, STEP - 1, STEP]
    for batch in batches:
        fill(archive, BatchRange(batch, batch, EPOCHS.owner(batch)), 4 if batch else 2, written=batch)
        accounts.write(account(batch, 4 if batch else 2))
    accounts = accounts_of(folder, archive, 2)
    assert due(archive.folders(EPOCHS)[:-2]) is None  # its range is not complete
    found = due(archive.folders(EPOCHS))
    assert found is not None
    target, parts = found
    assert (target, [part.first for part in parts]) == (BatchRange(0, STEP - 1, 2), [0, 1, 5, STEP - 1])
    put_together(archive, target, parts)
    assert archive.folders(EPOCHS) == [target, BatchRange(STEP, STEP, 2)]
    (path,) = archive.files(target)
    assert pq.read_table(path)["batch"].to_pylist() == [0, 0, *[1] * 4, *[5] * 4, *[STEP - 1] * 4]
    assert archive.manifest(target).rows == 14
    assert len(archive.manifest(target).windows) == 4
    assert due(archive.folders(EPOCHS)) is None
    assert differences(accounts) == []
    pq.write_table(pq.read_table(path).slice(3), path)
    assert differences(accounts) == [f"micro-batches 0 to {STEP - 1}: 14 rows must be there, 11 are"]


def test_folders_that_are_not_whole_are_not_put_together(archive: Archive) -> None:
    for batch in (0, 1, STEP):
        fill(archive, BatchRange(batch, batch, EPOCHS.owner(batch)), 4)
    (archive.folder / BatchRange(1, 1, 1).name / "part-00000.parquet").unlink()
    found = due(archive.folders(EPOCHS))
    assert found is not None
    with pytest.raises(Exception, match="must hold 8 rows, its folders hold 4"):
        put_together(archive, *found)
    assert len(list(archive.folder.iterdir())) == 3


def test_what_does_not_count_is_deleted(archive: Archive) -> None:
    late, own, part = BatchRange(3, 3, 1), BatchRange(3, 3, 2), BatchRange(70, 70, 2)
    larger = BatchRange(STEP, 2 * STEP - 1, 2)
    for each in (late, own, part, larger):
        fill(archive, each, 1)
    delete_uncounted(archive, EPOCHS)
    assert {path.name for path in archive.folder.iterdir()} == {own.name, larger.name}


def test_the_archive_is_kept_for_so_long(archive: Archive, folder: Path) -> None:
    accounts = accounts_of(folder, archive, 2)
    for number in range(4):
        batch = number * CHUNK
        fill(archive, BatchRange(batch, batch, EPOCHS.owner(batch)), 1, written=number)
        (archive.rejected / BatchRange(batch, batch, EPOCHS.owner(batch)).name).mkdir()
        accounts.write(account(batch, 1))
    kept = delete_old(archive, EPOCHS, 2)
    assert kept == 2 * CHUNK
    accounts.forget(kept)
    names = {BatchRange(batch, batch, 2).name for batch in (2 * CHUNK, 3 * CHUNK)}
    assert {path.name for path in archive.folder.iterdir()} == names
    assert {path.name for path in archive.rejected.iterdir()} == names
    assert len(list(folder.glob("*.jsonl"))) == 2
    assert differences(accounts) == differences(accounts_of(folder, archive, 2)) == []
    for _ in range(2):
        accounts.forget(delete_old(archive, EPOCHS, 9))  # nothing stays, and nothing is missed
    assert differences(accounts) == differences(accounts_of(folder, archive, 2)) == []
