"""Which folders of an archive count, by hand; and that no micro-batch ever counts twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.events.archive_names import BatchRange, Epochs, mark_name, without_uncounted

TWO = Epochs(((1, 0), (2, 5)))  #: the second stream began at micro-batch 5


def test_names_are_read_back() -> None:
    for part in (BatchRange(3, 3, 1), BatchRange(0, 63, 12), BatchRange(7 - 10**9, 7 - 10**9, 0)):
        assert BatchRange.parse(part.name) == part
    assert BatchRange.parse("batch-000000007") == BatchRange(7 - 10**9, 7 - 10**9, 0)  # of the first edition
    for other in ("_epochs", ".batch-000000003-e000001.ab12", "batch-000000003-001.parquet", "2019-10"):
        assert BatchRange.parse(other) is None
    assert Epochs.parse([mark_name(2, 5), mark_name(1, 0), "notes.txt"]) == TWO


def test_a_micro_batch_is_of_the_stream_that_had_begun() -> None:
    assert [TWO.owner(batch) for batch in (-1, 0, 4, 5, 99)] == [0, 1, 1, 2, 2]
    assert Epochs(()).owner(3) == 0


def test_what_a_replaced_stream_wrote_late_does_not_count() -> None:
    before, late, own = BatchRange(4, 4, 1), BatchRange(5, 5, 1), BatchRange(5, 5, 2)
    assert TWO.counting([late, before]) == [before]
    assert TWO.counting([late, own, before]) == [before, own]


def test_folders_that_a_larger_one_holds_do_not_count() -> None:
    old, single, beside = BatchRange(3 - 10**9, 3 - 10**9, 0), BatchRange(2, 2, 1), BatchRange(4, 4, 2)
    larger = BatchRange(0, 3, 2)
    epochs = Epochs(((1, 0), (2, 3)))
    assert epochs.counting([beside, single, larger, old]) == [old, larger, beside]


@given(
    starts=st.lists(st.integers(0, 40), max_size=4).map(sorted),
    parts=st.lists(
        st.builds(
            lambda number, size, epoch: BatchRange(number * size, number * size + size - 1, epoch),
            st.integers(0, 15),
            st.sampled_from([1, 4, 16]),
            st.integers(1, 4),
        ),
        max_size=30,
    ),
)
def test_no_micro_batch_counts_twice(starts: list[int], parts: list[BatchRange]) -> None:
    epochs = Epochs(tuple(enumerate(starts, 1)))
    counting = epochs.counting(parts)
    numbers = [number for part in counting for number in range(part.first, part.last + 1)]
    assert len(numbers) == len(set(numbers))
    for part in parts:  # and what is its owner's own is never left out
        if part.epoch == epochs.owner(part.last):
            assert any(other.holds(part) for other in counting)


def test_files_of_a_log_that_do_not_count_are_left_out() -> None:
    def marks(archive: str) -> list[str]:
        return {"/a/archive": [mark_name(1, 0), mark_name(2, 5)]}.get(archive, [])

    names = [
        "/a/archive/batch-000000004-e000001/part-0.parquet",
        "/a/archive/batch-000000005-e000001/part-0.parquet",
        "/a/archive/batch-000000005-e000002/part-0.parquet",
        "/a/archive/batch-000000001/part-0.parquet",
        "/a/2019-Oct.csv",
    ]
    assert without_uncounted(names, marks) == [name for name in names if name != names[1]]


def test_an_archive_of_years_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder is compared with a few others, not with all."""
    parts = [BatchRange(number, number, 1) for number in range(500)]
    names = [f"/a/archive/{part.name}/part-00000.parquet" for part in parts]
    equal, compared = BatchRange.__eq__, 0

    def counted(part: BatchRange, other: object) -> bool:
        nonlocal compared
        compared += 1
        return equal(part, other)

    monkeypatch.setattr(BatchRange, "__eq__", counted)
    assert without_uncounted(names, lambda archive: [mark_name(1, 0)]) == names
    assert compared <= 10 * len(parts)
