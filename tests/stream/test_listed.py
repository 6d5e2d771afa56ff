"""The accounts tell who must get a list and who got one, and what files of lists have lost."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.stream.archive import Archive
from app.stream.list_files import prune, rewrite, write_part
from tests.stream.test_accounts import COUNTED, EPOCHS, account, accounts_of, away, cut, differences, folder

__all__ = ["folder"]  # a fixture


def listed(*users: int) -> pa.Table:
    """A row of lists for each, as far as it matters here."""
    return pa.table({"user_id": users, "generated_at": [datetime(2024, 5, 6, tzinfo=UTC)] * len(users)})


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
            write_part(listed(1, 1, 2), lists, csv, batch, EPOCHS.owner(batch), partition)
        accounts.write(account(batch, 0, **COUNTED | {"list_rows": 6}))
    write_part(listed(1), lists, csv, 4, 1, 0)  # of one that was replaced
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


def test_losing_the_oldest_lists_that_are_kept_is_told(archive: Archive, folder: Path) -> None:
    """Not what was deleted by a setting that kept fewer, nor what an edition has deleted that noted nothing."""
    lists = folder.parent / "lists"
    accounts = accounts_of(folder, archive, keep=2)
    for batch in range(5):
        write_part(listed(1, 2), lists, folder, batch, EPOCHS.owner(batch), 0)
        accounts.write(account(batch, 0, **COUNTED | {"list_rows": 2}))
    (lists / f"batch-{0:09d}-e000001-000.parquet").unlink()  # by the edition before, which kept four
    kept = accounts_of(folder, archive, 2, keep=6)
    for first in (-1, -1, 2, 1):
        kept.keep_lists(first)
        prune(lists, first)
        assert differences(kept) == []
    oldest = lists / f"batch-{2:09d}-e000001-000.parquet"
    oldest.unlink()
    told = "micro-batch 2: 2 rows of lists must be there, 0 are"
    assert differences(kept) == differences(accounts_of(folder, archive, 3, keep=6)) == [told]
    kept.keep_lists(3)
    assert differences(kept) == differences(accounts_of(folder, archive, 3, keep=6)) == []


def test_a_file_of_lists_that_is_away_for_a_moment_does_not_count_as_empty(
    archive: Archive, folder: Path, refused: Path
) -> None:
    accounts, lists = accounts_of(folder, archive, keep=3), folder.parent / "lists"
    write_part(listed(1, 1, 2), lists, folder, 0, 1, 0)
    accounts.write(account(0, 0, **COUNTED | {"list_rows": 3}))
    (path,) = lists.iterdir()
    with away(path, refused):
        told = "micro-batch 0: 3 rows of lists must be there, 0 are, as far as can be read now"
        assert differences(accounts) == [f"{told} ({path.name}: Invalid argument)"]
    assert differences(accounts) == []
