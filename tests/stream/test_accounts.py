"""The accounts tell what an archive has lost, and nothing where nothing is."""

import os
import shutil
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
from app.stream.differences import ACCOUNTS, Difference, Unaccounted
from app.stream.list_files import rewrite, write_part

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


def gaps(accounts: Accounts) -> list[tuple[int, int]]:
    return [(found.first, found.last) for found in accounts.audit() if found.what == ACCOUNTS]


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


def test_who_must_get_a_list_and_who_got_one_is_accounted_for(archive: Archive, folder: Path) -> None:
    accounts = accounts_of(folder, archive)
    accounts.write(account(0, 0, late=1, asked=3, lists=2, list_rows=0))
    accounts.write(account(1, 0, late=2, asked=1, lists=1, list_rows=0))
    accounts.write(account(2, 0, late=1, asked=0, lists=0, list_rows=0))
    for batch, dropped in ((0, 1), (1, 1), (2, 0)):  # two late events may be of one session
        closed = accounts.committed(batch, 0, dropped)
        assert closed is not None
        assert closed.late == (1, 2, 1)[batch]
    assert accounts.committed(2, 0, 0) is None
    told = ["micro-batch 0: 3 lists must be there, 2 are", "micro-batch 2: 1 late events must be there, 0 are"]
    assert differences(accounts) == differences(accounts_of(folder, archive)) == told


def test_files_of_lists_are_accounted_for(archive: Archive, folder: Path) -> None:
    """As long as they are kept, by the owner of their micro-batch; what forgotten users had in them is not missed."""
    accounts, csv = accounts_of(folder, archive, 2, keep=3), folder / "csv"
    csv.mkdir()
    lists = folder.parent / "lists"
    for batch in range(5):
        for partition in range(2):
            rows = pa.table({"user_id": [1, 1, 2]})
            write_part(rows, lists, csv, batch, EPOCHS.owner(batch), partition)
        accounts.write(account(batch, 0, **COUNTED | {"list_rows": 6}))
    write_part(pa.table({"user_id": [1]}), lists, csv, 4, 1, 0)  # of one that was replaced
    names = sorted(lists.glob("*e000002*"))
    names[1].with_suffix(".lost").write_bytes(names[1].read_bytes())
    assert differences(accounts) == []
    names[1].unlink()
    for path in lists.glob("batch-000000000-*"):
        path.unlink()  # not kept any more
    kept = pq.read_table(names[2]).slice(2)
    rewrite(kept, 2, names[2], csv / f"{names[2].stem}.csv")
    rewrite(pq.read_table(names[2]).slice(1), 1, names[2], csv / f"{names[2].stem}.csv")
    assert pq.read_metadata(names[2]).num_rows == 0
    told = ["micro-batch 3: 6 rows of lists must be there, 3 are"]
    assert differences(accounts) == differences(accounts_of(folder, archive, 2, keep=4)) == told
    assert differences(accounts_of(folder, archive, 2, keep=1)) == []
    cut(names[3])
    assert differences(accounts_of(folder, archive, 2, keep=1)) == [
        "micro-batch 4: 6 rows of lists must be there, 3 are"
    ]
    for path in lists.glob("*.parquet"):
        path.unlink()
    assert len(differences(accounts)) == 2 + 1  # all three that must be kept


def test_gaps_in_the_numbers_of_micro_batches_are_told(archive: Archive, folder: Path) -> None:
    """Of a file of accounts that is lost, of a number that Spark leaves out, of the last before a start."""
    accounts = accounts_of(folder, archive)
    for batch in (0, 1, 2):
        accounts.write(account(batch, 0))
    assert gaps(accounts) == []
    accounts.write(account(5, 0))
    accounts.write(account(CHUNK, 0))
    assert gaps(accounts) == [(3, 4), (6, CHUNK - 1)]
    later = accounts_of(folder, archive, 2)  # began at 3: what its predecessor told of later numbers does not count
    assert gaps(later) == []
    later.write(account(4, 0))
    later.write(account(CHUNK, 0))
    told = [(3, 3), (5, CHUNK - 1)]
    assert gaps(later) == gaps(accounts_of(folder, archive, 2)) == told
    later.fold(CHUNK)
    assert gaps(later) == gaps(accounts_of(folder, archive, 2)) == told
    later.forget(CHUNK - 1)
    assert gaps(later) == gaps(accounts_of(folder, archive, 2)) == [(CHUNK - 1, CHUNK - 1)]


def test_a_file_of_accounts_that_is_lost_is_a_gap(archive: Archive, folder: Path) -> None:
    accounts = accounts_of(folder, archive)
    for batch in (0, 1, 2):
        accounts.write(account(batch, 0))
    next(folder.glob("*.e000001.jsonl")).unlink()
    assert gaps(accounts_of(folder, archive, 2)) == [(0, 2)]
    upgraded = folder / "of a stream that had none"
    upgraded.mkdir()
    first = accounts_of(upgraded, archive, 2)
    assert gaps(first) == []
    first.write(account(3, 0))
    assert gaps(first) == gaps(accounts_of(upgraded, archive, 2)) == []


def test_differences_are_figures() -> None:
    found = [
        Difference(0, 0, 5, 2),
        Difference(1, 1, 2, 4, "rejected rows"),
        Difference(1, 1, 1, 0, "lists"),
        Difference(1, 1, 9, 10, "rows of lists"),
        Difference(1, 1, 1, 0, "late events"),
        Difference(4, 5, 2, 0, "accounts"),
    ]
    assert Unaccounted.of(found) == Unaccounted(rows=5, lists=3, accounts=2)
    assert Unaccounted.of([]) == Unaccounted()


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
