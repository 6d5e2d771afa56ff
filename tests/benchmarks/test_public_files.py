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


def test_users_without_items_are_left_out(tmp_path: Path) -> None:
    users, lists = read_interactions(written(tmp_path, "7 1 2\n8\n9 3\n"))
    assert users.tolist() == ["7", "9"]
    assert rows(lists) == [["1", "2"], ["3"]]


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="first line has 3 columns"):
        read_sessions(written(tmp_path, "a\tb\tc\n1\t2\t3\n"))
    with pytest.raises(InputError, match="no line of a user and items"):
        read_interactions(written(tmp_path, "1\n2\n"))


def test_what_the_training_lacks_has_no_number() -> None:
    vocabulary = Vocabulary(np.array(["a", "c", "d"]))
    assert vocabulary.numbers(np.array(["d", "b", "a", "zz"])).tolist() == [2, -1, 0, -1]
