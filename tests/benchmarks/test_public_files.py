"""Files of public benchmarks: every format is known by what is in it."""

from pathlib import Path

import numpy as np
import pytest
from public_files import Lists, Vocabulary, read_interactions, read_sessions

from app.core.errors import InputError

EVENTS = "ItemId\tTime\tSessionId\nb\t20.0\t9\nx\t30\t7\na\t10.0\t9\nc\t25\t9\ny\t12\t7\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "anything"
    path.write_text(text)
    return path


def rows(lists: Lists) -> list[list[str]]:
    return [lists.slice(row, row + 1).items.tolist() for row in range(len(lists))]


def test_events_are_sorted_by_time_and_sessions_by_their_end(tmp_path: Path) -> None:
    lists = read_sessions(written(tmp_path, EVENTS))
    assert rows(lists) == [["a", "b", "c"], ["y", "x"]]
    assert lists.times is not None
    assert lists.times.tolist() == [10, 20, 25, 12, 30]
    assert lists.targets is None


def test_a_session_a_line(tmp_path: Path) -> None:
    lists = read_sessions(written(tmp_path, "3 1 3\n2\n\n10 4\n"))
    assert rows(lists) == [["3", "1", "3"], ["2"], ["10", "4"]]
    assert lists.times is None


@pytest.mark.parametrize("header", ["", "prefix\ttarget\n"])
def test_pairs_of_prefix_and_target(tmp_path: Path, header: str) -> None:
    lists = read_sessions(written(tmp_path, f"{header}1 2\t3\n4\t1\n"))
    assert rows(lists) == [["1", "2"], ["4"]]
    assert lists.targets is not None
    assert lists.targets.tolist() == ["3", "1"]


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
@pytest.mark.parametrize(
    "names", ["session_id item_id timestamp", "SESSION ITEM EventTime", '"SessionId" "ItemId" "Time"']
)
def test_columns_are_known_by_their_names_however_written(tmp_path: Path, separator: str, names: str) -> None:
    """Among others, which are passed over; an id may be a word that elsewhere means nothing."""
    text = f"user {names}\n1 s2 NA 20\n1 s1 b 5\n2 s2 a 10\n".replace(" ", separator)
    lists = read_sessions(written(tmp_path, text))
    assert rows(lists) == [["b"], ["a", "NA"]]
    assert lists.times is not None
    assert lists.times.tolist() == [5, 10, 20]


def test_a_table_without_times_is_in_the_order_of_its_lines(tmp_path: Path) -> None:
    lists = read_sessions(written(tmp_path, "SessionId\tItemId\n9\tb\n7\tx\n9\ta\n8\tc\n7\ty\n"))
    assert rows(lists) == [["b", "a"], ["c"], ["x", "y"]]
    assert lists.times is None


@pytest.mark.parametrize(
    "times",
    [
        ("1592337718.5", "1592337720"),
        ("1592337718500", "1592337720000"),
        ("2020-06-16T20:01:58.5Z", "2020-06-16 20:02"),
    ],
)
def test_times_are_seconds_milliseconds_or_dates(tmp_path: Path, times: tuple[str, str]) -> None:
    lists = read_sessions(written(tmp_path, "SessionId\tItemId\tTime\n1\ta\t{}\n1\tb\t{}\n".format(*times)))
    assert lists.times is not None
    assert lists.times.tolist() == [1592337718.5, 1592337720]


@pytest.mark.parametrize("header", ["prefix,target\n", "input\tnext\n"])
def test_a_header_of_pairs_may_be_another(tmp_path: Path, header: str) -> None:
    separator = "," if "," in header else "\t"
    lists = read_sessions(written(tmp_path, f"{header}1 2{separator}3\n\n4{separator}1\n"))
    assert lists.targets is not None
    assert (rows(lists), lists.targets.tolist()) == ([["1", "2"], ["4"]], ["3", "1"])


def test_users_without_items_are_left_out(tmp_path: Path) -> None:
    users, lists = read_interactions(written(tmp_path, "7 1 2\n8\n9 3\n"))
    assert users.tolist() == ["7", "9"]
    assert rows(lists) == [["1", "2"], ["3"]]


def test_lines_of_one_user_are_one_and_a_header_is_none(tmp_path: Path) -> None:
    users, lists = read_interactions(written(tmp_path, "user\titem\n7\t1\n9\t3\n7\t2\n7\t1\n"))
    assert users.tolist() == ["7", "9"]
    assert rows(lists) == [["1", "2"], ["3"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tb\tc\n1\t2\t3\n", r"it begins with 'a\\tb\\tc'"),
        ("27,5959,1593536687.0\n", "it begins with '27,5959,1593536687.0'"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("1 2\t3\n4\n", "'4' is no prefix and target"),
        ("1 2\t3\n\t4\n", r"'\\t4' is no prefix and target"),
        ("SessionId\tItemId\tTime\n", "needs SessionId, ItemId, Time in each line"),
        ("SessionId\tItemId\tTime\n1\ta\n", "needs SessionId, ItemId, Time in each line"),
        ("SessionId\tItemId\tTime\n1\ta\t5\n1\tb\tsoon\n", "'5' is no time|'soon' is no time"),
        ("SessionId,ItemId\n1,a\n1,b,c\n", "Expected 2 fields in line 3, saw 3"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        read_sessions(written(tmp_path, text))
    assert "\n" not in str(refused.value)


def test_files_without_users_or_text_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no line of a user and items"):
        read_interactions(written(tmp_path, "1\n2\n"))
    (tmp_path / "bytes").write_bytes(b"1 \xff\n")
    with pytest.raises(InputError, match="can't decode byte 0xff"):
        read_interactions(tmp_path / "bytes")


def test_what_the_training_lacks_has_no_number() -> None:
    vocabulary = Vocabulary(np.array(["a", "c", "d"]))
    assert vocabulary.numbers(np.array(["d", "b", "a", "zz"])).tolist() == [2, -1, 0, -1]
