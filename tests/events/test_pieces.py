"""Each line of a file is in one piece, once and whole, wherever the pieces begin."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.events import pieces as module
from app.events.pieces import ENDLESS, Piece, UnreadablePieceError, chunks, first_lines, local_path, share_out, uri

LINES = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=30)


def read(shares: Sequence[Sequence[Piece]]) -> list[bytes]:
    return [chunk for share in shares for piece in share for chunk in chunks(piece)]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, end=st.sampled_from([b"\n", b""]), most=st.integers(1, 40), chunk=st.integers(16, 40))
def test_every_line_is_read_once(lines: list[bytes], end: bytes, most: int, chunk: int, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    text = b"\n".join(lines) + end
    file.write_bytes(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LEAST_BYTES", 1)
        patch.setattr(module, "MOST_BYTES", most)
        patch.setattr(module, "CHUNK_BYTES", chunk)
        found = read(share_out({str(file): len(text)}, 1))
    assert b"".join(found) == text + (b"" if text.endswith(b"\n") or not text else b"\n")
    assert all(part.endswith(b"\n") for part in found)


def test_small_files_share_a_task_and_large_ones_take_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_BYTES", 10)
    monkeypatch.setattr(module, "MOST_BYTES", 20)
    sizes = {"a": 5, "b": 6, "c": 1, "d": 45, "e.gz": 30, "f": 1}
    assert share_out(sizes, 2) == [
        [Piece("a", 0, 5), Piece("b", 0, 6), Piece("c", 0, 1), Piece("d", 0, 20)],
        [Piece("d", 20, 40)],
        [Piece("d", 40, 45), Piece("e.gz", 0, ENDLESS)],
        [Piece("f", 0, 1)],
    ]
    assert share_out({"a": 25}, 2) == [[Piece("a", 0, 13)], [Piece("a", 13, 25)]]
    assert share_out({"a": 25}, 100) == [[Piece("a", 0, 10)], [Piece("a", 10, 20)], [Piece("a", 20, 25)]]


def test_gzip_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "log.csv.gz"
    file.write_bytes(gzip.compress(b"a\nb\n") + gzip.compress(b"c"))
    assert b"".join(read(share_out({str(file): 1}, 4))) == b"a\nb\nc\n"
    assert first_lines(str(file), 2) == [b"a\n", b"b\n"]


@pytest.mark.parametrize("damage", ["cut", "no gzip", "garbled", "gone", "a folder"])
def test_what_cannot_be_read_is_left_to_spark(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "log.csv.gz"
    whole = gzip.compress(bytes(range(256)) * 100)
    content = {"cut": whole[:-20], "no gzip": b"a,b\n", "garbled": whole[:20] + b"\xff" * 20 + whole[40:]}.get(damage)
    if content is not None:
        file.write_bytes(content)
    elif damage == "a folder":
        file.mkdir()
    with pytest.raises(UnreadablePieceError):
        read([[Piece(str(file), 0, ENDLESS)]])


def test_an_endless_line_is_left_to_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 16)
    file = tmp_path / "log.csv"
    file.write_bytes(b"short\n" + b"x" * 64)
    with pytest.raises(UnreadablePieceError):
        read([[Piece(str(file), 0, 70)]])


def test_names_are_those_of_this_machine_as_spark_writes_them() -> None:
    assert local_path("file:/data/a b.csv") == "/data/a b.csv"
    assert local_path("file:/data/a.csv.gz") == "/data/a.csv.gz"
    assert local_path("file:/data/log") == "/data/log"
    assert local_path("s3a://shop/log.csv") is None
    assert local_path("file:/data/log.csv.bz2") is None  # packed: Spark knows how
    assert uri("/data/2019-Oct.csv") == "file:/data/2019-Oct.csv"
    assert uri("/data/a b.csv") is None
