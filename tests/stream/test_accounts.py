"""The accounts tell what an archive has lost, and nothing where nothing is."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.events.archive_manifest import Manifest, write_manifest
from app.events.archive_names import BatchRange, Epochs
from app.stream.account_files import CHUNK, Account
from app.stream.accounts import Accounts
from app.stream.archive import Archive, stored_rows
from app.stream.compaction import STEP, delete_old, due, put_together
from app.stream.counted_files import AGAIN
from app.stream.differences import ACCOUNTS

EPOCHS = Epochs(((1, 0), (2, 3)))
NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)


def fill(archive: Archive, part: BatchRange, rows: int, written: float = 0) -> None:
    """A folder of so many events, one every five minutes."""
    folder = archive.folder / part.name
    folder.mkdir()
    times = [NOON + timedelta(minutes=5 * number) for number in range(rows)]
    table = pa.table({"event_time": pa.array(times, pa.timestamp("us", tz="UTC")), "batch": [part.first] * rows})
    pq.write_table(table, folder / "part-00000.parquet")
    windows = [int(time.timestamp()) * 1_000_000 for time in times]
    write_manifest(folder, Manifest(rows=rows, windows=windows, written=written))


def account(batch: int, rows: int, **others: int) -> Account:
    return Account(batch, **({"rows": rows, "archived": rows, "rejected": 0, "left_out": 0, "known": 0} | others))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "accounts"
    made.mkdir()
    return made


def accounts_of(folder: Path, archive: Archive, epoch: int = 1, *, keep: int = 0) -> Accounts:
    lists = folder.parent / "lists"
    lists.mkdir(exist_ok=True)
    return Accounts(folder, archive, (lists, keep), epoch, EPOCHS)


def differences(accounts: Accounts) -> list[str]:
    """Without gaps: here most micro-batches have no account."""
    return [str(difference) for difference in accounts.audit() if difference.what != ACCOUNTS]


def test_a_loss_is_told(archive: Archive, folder: Path) -> None:
    accounts = accounts_of(folder, archive)
    for batch in range(3):
        fill(archive, BatchRange(batch, batch, 1), 4)
        accounts.write(account(batch, 6, archived=4, rejected=1, left_out=1))
        accounts.committed(batch, 6, 0)
    assert differences(accounts) == []
    (archive.folder / BatchRange(1, 1, 1).name / "part-00000.parquet").unlink()
    (archive.folder / BatchRange(2, 2, 1).name).rename(archive.folder / "elsewhere")
    told = ["micro-batch 1: 4 rows must be there, 0 are", "micro-batch 2: 4 rows must be there, 0 are"]
    assert differences(accounts) == told
    assert differences(accounts_of(folder, archive, 2)) == told  # by the next stream as well


def cut(path: Path) -> None:
    """As a full disk or a volume that was restored by halves leaves it."""
    path.write_bytes(path.read_bytes()[:50])


def test_a_damaged_file_is_told_as_a_loss(archive: Archive, folder: Path) -> None:
    """And raises nothing, without a manifest either."""
    accounts = accounts_of(folder, archive)
    for batch in (0, 1, 2):
        fill(archive, BatchRange(batch, batch, 1), 4)
        accounts.write(account(batch, 4))
    assert differences(accounts) == []
    lost = archive.folder / BatchRange(1, 1, 1).name
    cut(lost / "part-00000.parquet")
    (archive.folder / BatchRange(2, 2, 1).name / "part-00000.parquet").write_bytes(b"")
    told = ["micro-batch 1: 4 rows must be there, 0 are", "micro-batch 2: 4 rows must be there, 0 are"]
    accounts = accounts_of(folder, archive, 2)
    assert differences(accounts) == told
    (lost / "_batch.json").unlink()
    assert archive.windows(BatchRange(1, 1, 1), 5) == []


@contextmanager
def away(path: Path, refused: Path) -> Iterator[None]:
    """As on a mount that is away for a moment: nothing says later that something was changed."""
    before = path.parent.stat()
    aside = path.parent.parent / f"{path.parent.name}-{path.name}"
    path.rename(aside)
    path.symlink_to(refused)
    os.utime(path.parent, ns=(before.st_atime_ns, before.st_mtime_ns))
    yield
    aside.replace(path)
    os.utime(path.parent, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_file_that_is_away_for_a_moment_is_told_and_does_not_count_as_empty(
    archive: Archive, folder: Path, refused: Path
) -> None:
    """Of archive, manifest and rejected rows; looked at again, all is there."""
    accounts = accounts_of(folder, archive)
    accounts.write(account(0, 6, archived=4, rejected=2, **COUNTED))
    part = BatchRange(0, 0, 1)
    fill(archive, part, 3)
    rows, manifest = (archive.folder / part.name / name for name in ("part-00000.parquet", "_batch.json"))
    write_manifest(rows.parent, Manifest(rows=3, windows=[], written=0, cut=1))
    rejected = reject(archive, part, 2) / "part-00000.parquet"
    for path, told in (
        (rows, f"4 rows must be there, 0 are, as far as can be read now ({rows.parent}: Invalid argument)"),
        (manifest, f"4 rows must be there, 0 are, as far as can be read now ({rows.parent}: Invalid argument)"),
        (rejected, f"2 rejected rows must be there, 0 are, as far as can be read now ({rejected.parent}: "),
    ):
        met = accounts_of(folder, archive)
        with away(path, refused):
            (difference,) = differences(met)
            assert difference.startswith(f"micro-batch 0: {told}")
            assert met.agree(part) == (path == rejected)
        assert differences(met) == []


def test_rows_that_never_came_to_the_archive_are_told(archive: Archive, folder: Path) -> None:
    accounts = accounts_of(folder, archive)
    fill(archive, BatchRange(0, 0, 1), 4)
    accounts.write(account(0, 5, archived=4))  # one is nowhere
    accounts.committed(0, 7, 0)  # and Spark gave two more
    accounts.committed(1, 7, 0)  # of an idle stream that was just started: nothing to compare with
    told = ["micro-batch 0: 5 rows must be there, 4 are", "micro-batch 0: 7 rows must be there, 5 are"]
    assert differences(accounts) == told
    assert differences(accounts_of(folder, archive, 2)) == told  # a restart is no cure
    accounts.forget(1)
    assert differences(accounts) == differences(accounts_of(folder, archive, 2)) == []


def reject(archive: Archive, part: BatchRange, rows: int) -> Path:
    """A folder of so many rows that can't be events."""
    folder = archive.rejected / part.name
    folder.mkdir()
    pq.write_table(pa.table({"row": ["x"] * rows}), folder / "part-00000.parquet")
    return folder


COUNTED = {"late": 0, "asked": 2, "lists": 2, "list_rows": 0}


def test_rejected_rows_are_accounted_for(archive: Archive, folder: Path) -> None:
    """Also once their accounts are folded; not by an account of an edition that deleted them by another rule."""
    accounts = accounts_of(folder, archive, 2)
    for batch in (0, 1, 2, CHUNK):
        fill(archive, BatchRange(batch, batch, EPOCHS.owner(batch)), 4)
        accounts.write(account(batch, 6, archived=4, rejected=2, **(COUNTED if batch else {})))
    lost = reject(archive, BatchRange(1, 1, 1), 2)
    for batch in (2, CHUNK):
        reject(archive, BatchRange(batch, batch, EPOCHS.owner(batch)), 2)
    assert differences(accounts_of(folder, archive, 2)) == differences(accounts) == []
    shutil.rmtree(lost)
    told = ["micro-batch 1: 2 rejected rows must be there, 0 are"]
    assert differences(accounts) == told
    assert accounts.agree(BatchRange(1, 1, 1))  # nothing of the archive itself
    accounts.fold(CHUNK)
    assert differences(accounts) == differences(accounts_of(folder, archive, 3)) == told


def test_a_loss_that_can_not_be_mended_is_closed_by_hand(archive: Archive, folder: Path) -> None:
    """As docs/operations.md says: also where the folder of a micro-batch has been put together with later ones."""
    accounts = accounts_of(folder, archive, 2)
    for batch in range(4):
        accounts.write(account(batch, 4))
    fill(archive, BatchRange(0, STEP - 1, 2), 12)
    assert differences(accounts) == [f"micro-batches 0 to {STEP - 1}: 16 rows must be there, 12 are"]
    (folder / "_from").write_text("2\n")
    accounts = accounts_of(folder, archive, 3)
    accounts.write(account(STEP, 4))
    assert differences(accounts) == [f"micro-batch {STEP}: 4 rows must be there, 0 are"]


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
    ((target, parts),) = due(archive.folders(EPOCHS), EPOCHS, STEP)
    put_together(archive, target, parts, lambda: None)
    assert archive.folders(EPOCHS) == [target, BatchRange(STEP, STEP, 2)]
    assert differences(accounts) == []
    (path,) = archive.files(target)
    pq.write_table(pq.read_table(path).slice(3), path)
    assert differences(accounts) == [f"micro-batches 0 to {STEP - 1}: 14 rows must be there, 11 are"]
    assert not accounts.agree(target)
    assert accounts.agree(BatchRange(STEP, STEP, 2))


def test_accounts_of_long_ago_are_kept_by_folder(archive: Archive, folder: Path) -> None:
    """What a stream reads at its start does not grow with the age of the shop; a loss is told all the same."""
    accounts = accounts_of(folder, archive, 2)
    target = BatchRange(0, STEP - 1, 2)
    fill(archive, target, 8)
    for batch in (*range(2), STEP, STEP + 1, STEP + 2, CHUNK):
        accounts.write(account(batch, 4, rejected=batch == STEP + 2))
    fill(archive, BatchRange(STEP, STEP, 2), 4)
    fill(archive, BatchRange(CHUNK, CHUNK, 2), 4)
    fill(archive, BatchRange(STEP + 2, STEP + 2, 2), 4)
    told = [
        f"micro-batch {STEP + 1}: 4 rows must be there, 0 are",
        f"micro-batch {STEP + 2}: 4 rows must be there, 5 are",
    ]
    accounts.fold(CHUNK - 1)
    assert len(list(folder.glob("000000000.*"))) == 1  # its last micro-batches may be just coming
    accounts.fold(CHUNK)
    for each in (accounts, accounts_of(folder, archive, 3)):
        assert differences(each) == told
    assert [path.name for path in folder.glob("0*")] == [f"{CHUNK:09d}.e000002.jsonl"]
    lines = (folder / "folded.e000002.jsonl").read_text().splitlines()
    assert len([line for line in lines if '"accounts"' not in line]) == 1 + 4 + 1  # and the gaps
    accounts_of(folder, archive, 1).write(account(5, 9))  # late, of a stream that was replaced
    fill(archive, wider := BatchRange(0, STEP**2 - 1, 2), 12)
    assert differences(accounts_of(folder, archive, 3)) == [
        f"micro-batches 0 to {wider.last}: 20 rows must be there, 12 are",
        told[1],
    ]


def test_files_are_opened_where_something_has_changed_and_all_by_and_by(
    archive: Archive, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = list[str]()

    def opening(path: Path) -> int:
        opened.append(path.name)
        return stored_rows(path)

    monkeypatch.setattr("app.stream.accounts.accounted_rows", opening)
    accounts = accounts_of(folder, archive, 2)
    parts = [BatchRange(batch, batch, EPOCHS.owner(batch)) for batch in range(AGAIN + 2)]
    for part in parts:
        fill(archive, part, 1)
    assert differences(accounts) == []
    assert len(opened) == len(parts)
    for _ in range(2):
        assert differences(accounts) == []
    assert len(opened) == len(parts) + 2 * AGAIN
    assert set(opened[len(parts) :]) == {part.name for part in parts}
    (archive.folder / parts[-1].name / "part-00000.parquet").unlink()
    assert differences(accounts) == [f"micro-batch {AGAIN + 1}: 1 rows must be there, 0 are"]


def test_the_archive_is_kept_for_so_long(archive: Archive, folder: Path) -> None:
    accounts = accounts_of(folder, archive, 2)
    for number in range(4):
        batch = number * CHUNK
        fill(archive, BatchRange(batch, batch, EPOCHS.owner(batch)), 1, written=number)
        rejected = archive.rejected / BatchRange(batch, batch, EPOCHS.owner(batch)).name
        rejected.mkdir()
        os.utime(rejected, (number, number))
        accounts.write(account(batch, 1))
    delete_old(archive, EPOCHS, 2, 3 * CHUNK, accounts.forget)
    assert accounts.oldest() == 2 * CHUNK
    assert archive.deleted_up_to() == int(NOON.timestamp()) * 1_000_000
    names = {BatchRange(batch, batch, 2).name for batch in (2 * CHUNK, 3 * CHUNK)}
    assert {path.name for path in archive.folder.glob("b*")} == names
    assert {path.name for path in archive.rejected.iterdir()} == names
    assert len(list(folder.glob("*.jsonl"))) == 2
    assert differences(accounts) == differences(accounts_of(folder, archive, 2)) == []
    for _ in range(2):
        delete_old(archive, EPOCHS, 9, 3 * CHUNK, accounts.forget)  # nothing stays, and nothing is missed
    assert differences(accounts) == differences(accounts_of(folder, archive, 2)) == []


def test_rejected_rows_are_kept_as_long_as_the_archive_of_their_time(archive: Archive, folder: Path) -> None:
    """Or they would be missed; where nothing of the archive is left, their own age counts."""
    accounts = accounts_of(folder, archive, 2)
    fill(archive, BatchRange(0, STEP - 1, 2), 4, written=9)
    for batch, archived in ((3, 4), (STEP, 0)):
        accounts.write(account(batch, archived + 2, archived=archived, rejected=2, **COUNTED))
        os.utime(reject(archive, BatchRange(batch, batch, 2), 2), (1, 1))
    for before, left in ((5, 2), (10, 0)):
        delete_old(archive, EPOCHS, before, STEP, accounts.forget)
        assert len([*archive.rejected.iterdir()]) == left
        assert differences(accounts) == differences(accounts_of(folder, archive, 2)) == []
    assert accounts.oldest() == STEP + 1
