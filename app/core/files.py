"""The one way in which a file is replaced: whole or not at all, and still there after a power cut.

- A file is written under a hidden name beside its place and renamed over it: a reader finds the old
  content or the new, never half. Spark, pyarrow's datasets and every reader here pass over names that
  begin with a dot.
- The content is fsynced before the rename, or a power cut could leave the new name without its
  content; the folder is fsynced after it, or the rename itself could be lost once the writer has gone
  on. Both cost some milliseconds, so every file that is replaced whole is written like this, but for
  what its writer would make again after a power cut.
- The hidden name is the writer's own: two writers of one file (a task that was given up and still
  runs) don't write into each other. What a killed writer leaves is deleted by `sweep` after a day.

Outside of this are tables, which count from their `_SUCCESS` or their rename on; the
stream's accounts, which only grow at their end; a lease, which its holder rewrites in place; and the files
of a replay, whose rename into the landing folder is their delivery.
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part"  #: how hidden names end
WORK, PARTS = ".work-", ".parts-"  #: how hidden folders begin: of a run's scratch tables, and of parts being written
LEFTOVER_SECONDS = 24 * 3600.0  #: a hidden file this old was left by a writer that died


@contextmanager
def replacing(target: Path, *, lasting: bool = True) -> Iterator[Path]:
    """A hidden path to write to, which takes the target's place when the block ends.

    Parameters
    ----------
    target
        File to write; its folder must exist.
    lasting
        False for what nobody asks for once the machine has been down: it is whole for every reader, but not fsynced.

    Yields
    ------
    Path
        Beside the target. It must be written and closed within the block; after an exception it is
        deleted and the target stays as it was.
    """
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}{PART}")
    try:
        yield part
        if lasting:
            sync(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    if lasting:
        sync(target.parent)


def write_text(target: Path, text: str, *, lasting: bool = True) -> None:
    """Replace a file by a text, in UTF-8 and with line ends as they are."""
    with replacing(target, lasting=lasting) as part:
        part.write_text(text, encoding="utf-8", newline="")


def write_first(target: Path, text: str) -> None:
    """Write a file where there is none; of several who do so at once one is the first, whose text stays for good."""
    if target.exists():
        return
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}{PART}")
    try:
        part.write_text(text, encoding="utf-8")
        sync(part)
        with suppress(FileExistsError):
            _place_first(part, target)
    finally:
        part.unlink(missing_ok=True)
    sync(target.parent)


def _place_first(part: Path, target: Path) -> None:
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the name is taken at once, its text comes a moment later
        with target.open("x", encoding="utf-8") as file:
            file.write(part.read_text(encoding="utf-8"))


def link(source: Path, target: Path) -> None:
    """Give a file that is replaced and never changed a second name; a copy where the file system has no links.

    Nothing happens where the target is there, or the source just gone.
    """
    try:
        os.link(source, target)
    except (FileExistsError, FileNotFoundError):
        return
    except OSError:
        with suppress(FileNotFoundError), replacing(target) as part:
            shutil.copy2(source, part)


def sync(path: Path) -> None:
    """Have the content of a file, or the names in a folder, reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """Delete the hidden files and folders that killed writers left in a folder a day ago or earlier."""
    now = time.time()
    for part in [*folder.glob(f".*{PART}"), *folder.glob(f"{WORK}*"), *folder.glob(f"{PARTS}*")]:
        try:
            if now - part.stat().st_mtime > LEFTOVER_SECONDS:
                if part.is_dir():
                    shutil.rmtree(part)
                else:
                    part.unlink()
        except FileNotFoundError:  # its writer was alive after all
            continue
