"""All bundles of an output folder: which there are, which is in use, which were before it.

`models/<version>/` is a bundle. `models/CURRENT` names the champion in its first line; the lines
below name those before it. A bundle is written beside its place and moved there whole; CURRENT is
replaced atomically: a reader never sees half of anything.
"""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from app.core.errors import BundleError
from app.core.files import LEFTOVER_SECONDS, sweep, sync, write_text
from app.core.locks import locked
from app.registry.bundle import file_entries, seal, verify
from app.registry.manifest import Manifest, read_manifest

POINTER, LOCK, STAGING = "CURRENT", ".lock", ".staging-"


@dataclass(frozen=True)
class Registry:
    """The bundles of a folder, which need not exist yet.

    Every change is made under a lock that the kernel frees when its holder dies: two trainings may
    end at once.
    """

    folder: Path

    def history(self) -> list[str]:
        """Published versions, the champion first; empty if there is none."""
        try:
            return (self.folder / POINTER).read_text().split()
        except (FileNotFoundError, NotADirectoryError):
            return []

    def champion(self) -> Path | None:
        """Folder of the bundle in use, unchecked; None if nothing was published."""
        names = self.history()
        return self.folder / names[0] if names else None

    def open(self, version: str) -> Path:
        """The folder of a bundle on this machine, after every checksum was verified.

        Raises
        ------
        BundleError
            Missing, damaged, or of another schema version.
        """
        verify(self.folder / version)
        return self.folder / version

    def add(self, version: str, entries: BaseModel, fill: Callable[[Path], None]) -> Path:
        """Write a bundle, whole or not at all; it is not published yet.

        Parameters
        ----------
        version
            Name of the new one; a number is added where it is taken.
        entries
            What the manifest records of the training.
        fill
            Writes the bundle's files into the folder it is given.

        Returns
        -------
        Path
            The bundle's folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        staging = self.folder / f"{STAGING}{version}-{os.getpid()}"
        staging.mkdir()
        try:
            fill(staging)
            files = file_entries(staging)
            with self._lock():
                target = self._free(version)
                seal(staging, Manifest.of(target.name, entries, files))
                staging.rename(target)
                sync(self.folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        return target

    def publish(self, version: str, check: Callable[[], object] = lambda: None) -> None:
        """Make a bundle the champion, by one atomic replacement of CURRENT.

        `check` is called just before; what it raises keeps the bundle from being published. So a training that was
        paused, and that another has replaced meanwhile, does not put its older bundle over that one's.
        """
        with self._lock():
            check()
            self._point([version, *(name for name in self.history() if name != version)])

    def rollback(self) -> tuple[str, str]:
        """Go back to the latest whole champion before this one.

        Returns
        -------
        tuple
            The version that was in use, and the one that is now.

        Raises
        ------
        BundleError
            Nothing was published before, or no earlier champion is whole.
        """
        if not self.history():  # first of all, since there may be no folder to lock
            raise BundleError(f"{self.folder}: nothing was published yet; vitrine train makes a bundle")
        with self._lock():
            names = self.history()
            kept = [name for name in names[1:] if (self.folder / name).is_dir()]
            if not kept:
                raise BundleError(f"{self.folder}: no earlier champion than {names[0]} is kept")
            damage: list[str] = []
            for place, name in enumerate(kept):
                try:
                    self.open(name)
                except BundleError as error:
                    damage.append(str(error))
                    continue
                self._point(kept[place:])
                return names[0], name
            raise BundleError(
                f"{self.folder}: no champion before {names[0]} is whole ({'; '.join(damage)}); train again"
            )

    def prune(self, keep: int, challenger: str | None = None) -> list[str]:
        """Delete old bundles, never the champion nor the one before it, and what dead trainings left.

        Parameters
        ----------
        keep
            How many of the latest stay.
        challenger
            A version that stays as well.

        Returns
        -------
        list of str
            Versions that are gone.
        """
        with self._lock():
            bundles = self._bundles()
            safe = {path.name for path in bundles[-keep:]} | {*self.history()[:2], challenger}
            gone = [path for path in bundles if path.name not in safe]
            now = time.time()
            staging = self.folder.glob(f"{STAGING}*")
            stale = [path for path in staging if now - path.stat().st_mtime > LEFTOVER_SECONDS]
            for path in [*stale, *map(self._set_aside, gone)]:
                shutil.rmtree(path, ignore_errors=True)
            sweep(self.folder)
            return [path.name for path in gone]

    def forget(self, names: frozenset[str]) -> list[str]:
        """Delete bundles that have not obeyed all of these forgettings, but for the latest two champions.

        The one before this may just be answering, and is deleted by the next training.
        """
        with self._lock():
            safe = set(self.history()[:2])
            gone = [path for path in self._bundles() if path.name not in safe and not names <= obeyed_by(path)]
            for path in gone:
                shutil.rmtree(self._set_aside(path), ignore_errors=True)
            return [path.name for path in gone]

    def _bundles(self) -> list[Path]:
        """All there are, by name."""
        return sorted(path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith("."))

    def _set_aside(self, path: Path) -> Path:
        """Take a bundle's name from it before it is deleted: what has one is whole, even if this is killed."""
        return path.rename(self.folder / f"{STAGING}{path.name}-gone-{os.getpid()}")

    def _point(self, names: list[str]) -> None:
        write_text(self.folder / POINTER, "".join(f"{name}\n" for name in names))

    def _free(self, version: str) -> Path:
        target, number = self.folder / version, 2
        while target.exists():
            target, number = self.folder / f"{version}_{number}", number + 1
        return target

    def _lock(self) -> AbstractContextManager[None]:
        return locked(self.folder / LOCK)


def obeyed_by(folder: Path) -> frozenset[str]:
    """Names of the forgettings that a bundle has obeyed, as far as it can be read."""
    try:
        return read_manifest(folder).obeyed
    except BundleError:
        return frozenset()
