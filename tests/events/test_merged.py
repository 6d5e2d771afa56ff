"""Which users are one: by hand, in any order, on the disk with many writers, and in rows as Spark reads them."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from app.core.errors import VitrineError
from app.core.settings import Settings
from app.events.forgotten import ForgottenUsers
from app.events.forgotten_rows import FORGOTTEN
from app.events.ids import number_of
from app.events.ingest import ingest, read_cleaned
from app.events.merged import Merge, Merged, Standing
from app.events.merged_users import LOCK, MergedUsers
from tests.events.test_forgotten import NOON
from tests.events.test_ingest import HEADER, NOW, RULES, STAMP, line

A, B, C, D, E = range(1, 6)
Pairs = list[tuple[int, int]]


def merged(*pairs: tuple[int, int]) -> Merged:
    """Merges of one user into another, a microsecond apart."""
    numbered = enumerate(pairs, 1)
    return Merged.of(Merge(user=user, into=into, into_key=f"k{into}", at=at) for at, (user, into) in numbered)


# --- Who is who -------------------------------------------------------------------------------------------


def test_without_merges_everyone_is_oneself() -> None:
    nobody = merged()
    assert not nobody
    assert (nobody.survivor(A), nobody.group(A), nobody.since(A), nobody.latest) == (A, (A,), 0, 0)
    assert nobody.standing(A, B) is Standing.NEW
    users = np.array([A, B])
    assert nobody.survivors_of(users) is users


def test_a_chain_ends_at_its_last() -> None:
    """A → B → C, and D → C: all are C's; A is so since B is."""
    found = merged((A, B), (B, C), (D, C))
    assert found.survivors == {A: C, B: C, D: C}
    assert found.keys == {C: "k3"}
    assert [found.survivor(user) for user in (A, B, C, D, E)] == [C, C, C, C, E]
    assert found.group(A) == found.group(C) == (C, A, B, D)
    assert found.group(E) == (E,)
    assert [found.since(user) for user in (A, B, C, D)] == [2, 2, 0, 3]
    assert found.latest == 3
    assert found.survivors_of(np.array([E, A, C, -7, D, 10**18])).tolist() == [E, C, C, -7, C, 10**18]


@pytest.mark.parametrize(
    ("user", "into", "standing"),
    [
        (E, A, Standing.NEW),  # into one who was merged: C's in the end
        (C, E, Standing.NEW),
        (A, B, Standing.DONE),
        (A, C, Standing.DONE),
        (A, D, Standing.DONE),  # both are C's
        (C, C, Standing.SAME),
        (A, A, Standing.SAME),
        (B, A, Standing.RING),
        (C, A, Standing.RING),
        (C, D, Standing.RING),
        (A, E, Standing.ELSEWHERE),  # it would make C another's who was not asked for
    ],
)
def test_what_another_merge_would_mean(user: int, into: int, standing: Standing) -> None:
    assert merged((A, B), (B, C), (D, C)).standing(user, into) is standing


def test_of_two_that_cannot_both_be_the_earlier_counts() -> None:
    """As writers without a lock may leave them: a second merge of one user, and a ring."""
    assert merged((A, B), (A, C)).survivors == {A: B}
    assert merged((A, B), (B, A)).survivors == {A: B}
    assert merged((A, B), (B, C), (C, A), (D, C)).survivors == {A: C, B: C, D: C}
    assert merged((A, A)).survivors == {}


PAIRS = st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), max_size=10)


@settings(deadline=None)
@example([(A, B), (B, A)], 1)
@given(PAIRS, st.randoms())
def test_the_order_in_which_merges_are_read_is_nothing(pairs: Pairs, dice: object) -> None:
    merges = [Merge(user=user, into=into, into_key="k", at=at) for at, (user, into) in enumerate(pairs, 1)]
    before = Merged.of(merges)
    if hasattr(dice, "shuffle"):
        dice.shuffle(merges)
    assert Merged.of(merges * 2).survivors == before.survivors


def accepted(pairs: Pairs) -> Pairs:
    """Those of some merges that a writer takes, one after the other."""
    taken: Pairs = []
    for user, into in pairs:
        if merged(*taken).standing(user, into) is Standing.NEW:
            taken.append((user, into))
    return taken


@settings(deadline=None)
@given(PAIRS)
def test_what_was_taken_holds_whenever_it_was_asked_for(pairs: Pairs) -> None:
    """Of merges that go well together the order is nothing, and to ask again changes nothing."""
    taken = accepted(pairs)
    found = merged(*taken)
    for user, into in taken:
        assert found.survivor(user) == found.survivor(into)
        assert found.standing(user, into) is Standing.DONE
        assert found.standing(into, user) is Standing.RING
    assert accepted(taken[::-1]) == taken[::-1]
    assert merged(*taken[::-1]).survivors == found.survivors
    # The same by sets of users: each merge unites two.
    groups = {user: {user} for user in range(1, 8)}
    for user, into in taken:
        both = groups[user] | groups[into]
        groups |= dict.fromkeys(both, both)
    assert {user: set(found.group(user)) for user in groups} == groups
    assert found.survivors_of(np.arange(1, 8)).tolist() == [found.survivor(user) for user in range(1, 8)]
    assert not set(found.survivors) & set(found.survivors.values())


# --- On the disk ------------------------------------------------------------------------------------------


def test_a_merge_is_read_by_all_and_stays_the_same_object_until_the_next(tmp_path: Path) -> None:
    here, there = MergedUsers(tmp_path), MergedUsers(tmp_path)
    assert not here.read()
    with here.alone():
        here.add(-5, 7, "anna", 3.5)
    assert there.read().survivors == {-5: 7}
    assert there.read().keys == {7: "anna"}
    assert there.read().latest == 3_500_000
    assert there.read() is there.read()
    with there.alone():
        there.add(9, 7, "anna", 2.0)  # by a clock that is behind
    assert here.read().since(9) == 3_500_001, "each is later than all before it"


def test_who_is_forgotten_leaves_the_list(tmp_path: Path) -> None:
    users = MergedUsers(tmp_path)
    with users.alone():
        for user, into in ((A, B), (B, C), (D, E)):
            users.add(user, into, "k", 1.0)
        users.remove(users.read().group(A))
    assert users.read().survivors == MergedUsers(tmp_path).read().survivors == {D: E}
    assert sorted(path.name for path in users.folder.iterdir()) == [LOCK, f"{D}-1000002.json"]


def test_writers_that_keep_to_the_lock_close_no_ring(tmp_path: Path) -> None:
    """Each of forty merges the next user of a ring of forty, at once."""

    def write(user: int) -> None:
        users = MergedUsers(tmp_path)
        with users.alone():
            if users.read().standing(user, (user + 1) % 40) is Standing.NEW:
                users.add(user, (user + 1) % 40, "k", 1.0)

    threads = [threading.Thread(target=write, args=(user,)) for user in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = MergedUsers(tmp_path).read()
    assert len(found.merges) == len(list((tmp_path / "merged").glob("*.json"))) == 39
    assert len(set(map(found.survivor, range(40)))) == 1
    assert len({merge.at for merge in found.merges.values()}) == 39


def test_a_damaged_file_is_named_each_time(tmp_path: Path) -> None:
    users = MergedUsers(tmp_path)
    with users.alone():
        users.add(A, B, "k", 1.0)
    (path,) = users.folder.glob("*.json")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    for reader in (MergedUsers(tmp_path), MergedUsers(tmp_path)):
        for _ in range(2):
            with pytest.raises(VitrineError, match=path.name):
                reader.read()
        path.write_bytes(whole)
        assert reader.read().survivors == {A: B}
        path.write_bytes(whole[:-3])


# --- Rows -------------------------------------------------------------------------------------------------


def test_rows_become_the_survivors_after_the_forgotten_are_left_out(spark: SparkSession, tmp_path: Path) -> None:
    """Ten rows of each user of 0 to 6. 1 → 2 → 3; 4 was forgotten under its own id; 5 and 3 did the same at once."""
    forgotten = ForgottenUsers(tmp_path)
    forgotten.forget(4, NOON)
    found = merged((1, 2), (2, 3), (4, 5), (6, 0))
    text = HEADER + "".join(line(i) for i in range(70))
    text += line(1, user_id=4, event_time="2019-10-01 12:00:01 UTC")  # after the forgetting
    text += "".join(line(500, user_id=user, event_time="2019-10-01 13:00:00 UTC") for user in (1, 3))
    (tmp_path / "in.csv").write_text(text)
    read = forgotten.read()
    report = ingest(spark, Settings(), f"{tmp_path}/in.csv", tmp_path / "processed", STAMP, NOW, read, found)
    assert report.left_out == {FORGOTTEN: 10}
    assert (report.read, report.kept, report.duplicates) == (73, 62, 1), "what both did at once was done once"
    counts = read_cleaned(spark, report.cleaned).groupBy("user_id").count().collect()
    assert {row["user_id"]: row["count"] for row in counts} == {0: 20, 3: 31, 5: 11}
    rows = read_cleaned(spark, report.cleaned).where("user_id = 3").collect()
    assert {row["user_key"] for row in rows} == {None}, "ids of this shop are no text"


def test_ids_of_text_become_the_survivors_too(spark: SparkSession, tmp_path: Path) -> None:
    """Else one number would have two ids, which is refused. Without a session id the two were in one."""
    ann, ben = (number_of(name, text_ids=True) for name in ("ann", "ben"))
    assert ann is not None
    assert ben is not None
    (tmp_path / "shop.yaml").write_text(RULES)
    rows = [f"2019-10-01 00:00:{i:02},sku {i},{'ann' if i % 2 else 'ben'}," for i in range(20)]
    (tmp_path / "in.csv").write_text("\n".join(["t,p,u,o", *rows, "2019-10-01 00:00:30,sku 1,cleo,"]))
    found = Merged.of([Merge(user=ann, into=ben, into_key="ben", at=1)])
    shop = Settings(layout=tmp_path / "shop.yaml")
    report = ingest(spark, shop, f"{tmp_path}/in.csv", tmp_path / "processed", STAMP, NOW, merged=found)
    events = read_cleaned(spark, report.cleaned).groupBy("user_key", "user_id", "session_id").count().collect()
    theirs = {row["user_key"]: (row["user_id"], row["session_id"], row["count"]) for row in events}
    assert theirs.pop("ben") == (ben, f" {ben}-1", 20)
    assert [*theirs] == ["cleo"]
