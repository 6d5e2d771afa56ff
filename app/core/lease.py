"""One holder of a folder at a time, on a file system that several nodes may share.

Advisory locks cannot be trusted there, and clocks of nodes differ. So a lease is a file named by its
epoch, made exclusively, in which the holder counts up every `BEAT` seconds. Whoever wants the folder
watches that count by its own clock: a count that stands still for `EXPIRY` has no holder any more, and
the next epoch may be taken. On the holder's own machine nobody need wait for a process that is gone.

A holder that was only paused may write for a moment after it was replaced. A lease cannot prevent that
(M. Kleppmann, "How to do distributed locking", 2016): what is written must carry the epoch, and readers
must know which epoch counts.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from errno import ENOENT, ENOTDIR, ESTALE
from pathlib import Path
from typing import Any

from app.core.errors import InputError, VitrineError
from app.core.holder import Holder, record

BEAT = 2.0  #: seconds between two signs of life
EXPIRY = 12.0  #: seconds without one after which a lease has expired
COURTESY = 120.0  #: seconds without a sign of life after which nobody is waited for out of courtesy
LOOK = 0.2  #: seconds between two looks of one who waits
MOMENT, TRIES = 0.02, 5  #: seconds between two looks at a file that is just being written, and how many
KEPT = 5  #: epochs whose files are kept, for people
EPOCH = re.compile(r"e(\d{6,})$")


class _State(Enum):
    FREE = "free"
    SILENT = "not seen alive yet"
    ALIVE = "alive"


class Lease:
    """The right to write to a folder.

    Parameters
    ----------
    folder
        Of the lease's own files; made when it is taken.
    what
        What is held, in errors: "stream shop/stream".

    Attributes
    ----------
    epoch
        Of this holder; 0 while it holds nothing.
    lost
        Set once another was seen to have taken over.
    """

    def __init__(self, folder: Path, what: str):
        self._folder, self._what = folder, what
        self.epoch = 0
        self.lost = threading.Event()
        self._me = Holder.this_process()
        self._released = threading.Event()
        self._beating: threading.Thread | None = None
        self._known = 0  # the latest epoch that was seen: a listing may be of a while ago
        self._seen: tuple[int, str] | None = None
        self._changed = self._told = False
        self._since = self._looked = time.monotonic()

    def approach(self, *, wait: bool, say: Callable[[str], Any]) -> None:
        """Return unless another holder is seen alive: then `wait` for its end, or raise.

        Takes a few seconds where the last holder did not say goodbye. To be called before what is
        expensive; `acquire` must follow.

        Raises
        ------
        InputError
            Another holds the lease, and `wait` is False.
        """
        self._until_not_alive(wait, say, patience=2 * BEAT)

    def acquire(self, *, wait: bool, say: Callable[[str], Any]) -> None:
        """Take the next epoch, once the one before has ended or expired.

        Raises
        ------
        InputError
            Another holds the lease, and `wait` is False.
        """
        while self.epoch == 0:
            self._until_not_alive(wait, say, patience=EXPIRY)
            # Not what is the newest by now: paused here, it has not seen that one, and after long its own is no more.
            if not self._claim(self._known + 1) or self._newest() > self.epoch:
                self.epoch = 0
                time.sleep(LOOK)  # somebody was faster
        self._mark_predecessor()
        self._beating = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._beating.start()

    def check(self) -> None:
        """Make sure that nobody has taken over.

        Raises
        ------
        VitrineError
            Somebody has.
        """
        if not self._is_mine():
            self.lost.set()
            raise VitrineError(
                f"{self._what}: {self._holder()} has taken over; this one stops, and what it was at is done there"
            )

    def seems_held(self) -> bool:
        """Whether somebody holds it, as far as one look can tell: for what is only a courtesy to the holder."""
        newest = self._newest()
        holder = self._read(newest)[0] if newest else None
        if holder is None or holder.ended or holder.is_gone():
            return False
        with suppress(OSError):
            return time.time() - self._path(newest).stat().st_mtime < COURTESY
        return False

    def release(self) -> None:
        """Say goodbye, so that the next need not wait."""
        self._released.set()
        if self._beating is not None:
            self._beating.join()
        with suppress(OSError):  # a full or read-only disk: the lease expires by itself
            if self.epoch and self._is_mine():
                self._write(self.epoch, replace(self._me, ended=True))

    def _until_not_alive(self, wait: bool, say: Callable[[str], Any], patience: float) -> None:
        self._looked = time.monotonic()
        while (state := self._look()) is not _State.FREE:
            if state is _State.SILENT and self._looked - self._since >= patience:
                return
            if state is _State.ALIVE:
                if not wait:
                    raise InputError(
                        f"{self._what}: {self._holder()} is at work there; one at a time: stop it first, "
                        "or give --output another folder"
                    )
                if not self._told:
                    say(f"{self._what}: {self._holder()} is at work there; waiting for its end")
                    self._told = True
            time.sleep(LOOK)

    def _holder(self) -> str:
        """Who holds it, for people."""
        return str(self._read(self._newest())[0] or "another process")

    def _look(self) -> _State:
        before, self._looked = self._looked, time.monotonic()  # ahead of the reading: paused after it, that is old
        if self._looked - before > EXPIRY / 2:  # held up itself, and perhaps the holder with it
            self._since = self._looked
        newest = self._newest()
        if newest == 0:
            return _State.FREE
        holder, content = self._read(newest)
        if holder is not None and (holder.ended or holder.is_gone()):
            return _State.FREE
        if (newest, content) != self._seen:
            self._changed = self._seen is not None
            self._seen, self._since = (newest, content), time.monotonic()
        if self._looked - self._since >= EXPIRY:
            return _State.FREE
        return _State.ALIVE if self._changed else _State.SILENT

    def _claim(self, epoch: int) -> bool:
        """Take an epoch, unless somebody was faster."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._path(epoch).open("x") as file:
                file.write(record(self._me))
        except FileExistsError:
            self._known = epoch
            return False
        self.epoch = self._known = epoch
        self._path(epoch - KEPT).unlink(missing_ok=True)
        return True

    def _is_mine(self) -> bool:
        """Whether the file of this epoch is still this holder's, and the latest one that is seen.

        The folder may have been moved away, and another begun in its place.
        """
        return self._token(self.epoch) == self._me.token and self._newest() == self.epoch

    def _token(self, epoch: int) -> str | None:
        """Of who has written a file last; None if it is gone or damaged."""
        for _ in range(TRIES):
            try:
                return str(json.loads(self._path(epoch).read_text())["token"])
            except OSError as error:
                if error.errno in (ENOENT, ENOTDIR, ESTALE):
                    return None
                raise
            except (ValueError, KeyError):  # just being written
                time.sleep(MOMENT)
        return None

    def _mark_predecessor(self) -> None:
        """Write this holder's record into the file of the one before, who looks there first.

        On NFS a file is looked at anew when it is opened, while a listing, and with it a new file's name, may be
        a minute old. The one before may have been paused just before a beat, and write over it: so again at each.
        """
        before = self.epoch - 1
        with suppress(OSError):  # there was none, or its file is gone: it will notice that
            if self._token(before) != self._me.token:
                self._write(before, replace(self._me, ended=True))

    def _beat(self) -> None:
        while not self._released.wait(BEAT):
            with suppress(OSError):  # a full disk is told by what needs it
                if not self._is_mine():
                    self.lost.set()
                    return
                self._me = replace(self._me, beat=self._me.beat + 1)
                self._write(self.epoch, self._me)
                self._mark_predecessor()

    def _write(self, epoch: int, holder: Holder) -> None:
        # In place, not by a rename: NFS looks at a file anew when it is opened, at a folder's names much later.
        with self._path(epoch).open("r+") as file:
            file.write(record(holder))
            file.flush()
            os.fsync(file.fileno())

    def _read(self, epoch: int) -> tuple[Holder | None, str]:
        try:
            text = self._path(epoch).read_text()
        except OSError:
            return None, ""
        try:
            return Holder(**json.loads(text)), text
        except (ValueError, TypeError):  # just being written
            return None, text

    def _newest(self) -> int:
        try:
            names = os.listdir(self._folder)
        except OSError:
            return self._known
        self._known = max([self._known, *(int(found[1]) for name in names if (found := EPOCH.match(name)))])
        return self._known

    def _path(self, epoch: int) -> Path:
        return self._folder / f"e{epoch:06d}"


def training_lease(output: Path) -> Lease:
    """Of the one training that may run on an output at a time."""
    return Lease(output.absolute() / ".training", f"training on {output.absolute()}")


def stream_lease(output: Path) -> Lease:
    """Of the one stream that may run on an output at a time."""
    return Lease(output.absolute() / "stream" / "lease", f"stream on {output.absolute()}")
