"""Text files of this machine in pieces of whole lines, which tasks read side by side without Spark."""

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from app.events.log_files import LOCAL

GZIP = ".gz"
SUFFIXES = ("", ".csv", ".tsv", ".txt", GZIP)  #: of others Spark may know that they are packed
LEAST_BYTES, MOST_BYTES = 4 * 1024 * 1024, 64 * 1024 * 1024  #: of a piece, and of what one task reads
CHUNK_BYTES = 16 * 1024 * 1024  #: of lines that are looked at together; also the longest line
ENDLESS = 2**63 - 1
_WRITTEN_AS_IT_IS = re.compile(r"[\w/.=-]+", re.ASCII)  # such a path is its own URI


class UnreadablePieceError(Exception):
    """A piece has no whole lines, or can't be read: Spark, which reads more, says what it is."""


@dataclass(frozen=True)
class Piece:
    """Lines that begin in these bytes of a file; `end`: as much as there is where it is packed."""

    file: str
    begin: int
    end: int


def local_path(name: str) -> str | None:
    """The path of a file by Hadoop's name for it, None where this module can't read it."""
    path = name.removeprefix(f"{LOCAL}:")
    return path if path != name and Path(path).suffix in SUFFIXES else None


def uri(path: str) -> str | None:
    """As Spark writes the name of a file, None where only Java knows how."""
    return f"{LOCAL}:{path}" if _WRITTEN_AS_IT_IS.fullmatch(path) else None


def share_out(sizes: Mapping[str, int], tasks: int) -> list[list[Piece]]:
    """What each task reads.

    Parameters
    ----------
    sizes
        Bytes of the files, by path.
    tasks
        How many run side by side: about so many there are of small files, and more of large ones.
    """
    most = min(MOST_BYTES, max(LEAST_BYTES, -(-sum(sizes.values()) // tasks)))
    shares, held = list[list[Piece]](), most
    for file, size in sizes.items():
        step = size if file.endswith(GZIP) else most
        for begin in range(0, size, step):
            if held >= most:
                shares.append([])
                held = 0
            shares[-1].append(Piece(file, begin, ENDLESS if file.endswith(GZIP) else min(size, begin + step)))
            held += min(size - begin, step)
    return shares


def chunks(piece: Piece) -> Iterator[bytes]:
    """The lines of a piece, each with its end, about `CHUNK_BYTES` at a time.

    Raises
    ------
    UnreadablePieceError
        See there.
    """
    with _opened(piece.file) as file:
        position = piece.begin
        if position:  # a line that began before is the piece's before
            file.seek(position - 1)
            position += len(_end_of_line(file)) - 1
        while position < piece.end:
            data = file.read(min(CHUNK_BYTES, piece.end - position))
            if not data:
                return
            data += b"" if data.endswith(b"\n") else _end_of_line(file)
            position += len(data)
            yield data if data.endswith(b"\n") else data + b"\n"  # the last line of a file may have no end


def first_lines(path: str, size: int) -> list[bytes]:
    """Whole lines with which a file begins, of about so many bytes.

    Raises
    ------
    UnreadablePieceError
        See there.
    """
    with _opened(path) as file:
        return (file.read(size) + _end_of_line(file)).splitlines(keepends=True)


def _end_of_line(file: BinaryIO) -> bytes:
    found = file.readline(CHUNK_BYTES)
    if len(found) == CHUNK_BYTES:
        raise UnreadablePieceError
    return found


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    try:
        with gzip.open(path) if path.endswith(GZIP) else open(path, "rb") as file:
            yield cast(BinaryIO, file)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadablePieceError from error
