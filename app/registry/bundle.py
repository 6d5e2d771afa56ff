"""Bundles: what training leaves and serving reads.

`models/<version>/` holds a recommender, the segmentation and `manifest.json` with the checksum of
every file. `models/CURRENT` names the champion in its first line; the lines below name those before
it. A bundle is written beside its place and moved there whole; CURRENT is replaced atomically: a
reader never sees half of anything.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import BundleError
from app.serve.recommender import Recommender
from app.serve.segments import SegmentModel

SCHEMA_VERSION = 2
MANIFEST, POINTER, LOCK, STAGING = "manifest.json", "CURRENT", ".lock", ".staging-"
STALE_SECONDS = 24 * 3600  #: a staging folder this old was left by a training that died


@dataclass(frozen=True)
class Bundle:
    """An opened bundle."""

    folder: Path
    manifest: dict[str, Any]
    recommender: Recommender
    segments: SegmentModel

    @property
    def version(self) -> str:
        return self.folder.name

    @classmethod
    def open(cls, folder: Path, *, check: bool = True) -> "Bundle":
        """Open a bundle.

        Parameters
        ----------
        folder
            `models/<version>`.
        check
            Verify every file's checksum first; a worker may leave it out where its driver did.

        Raises
        ------
        BundleError
            Missing, damaged, or of another schema version.
        """
        manifest = verify(folder) if check else read_manifest(folder)
        try:
            return cls(folder, manifest, Recommender.load(folder), SegmentModel.load(folder))
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise BundleError(f"bundle {folder}: cannot be opened ({error})") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, if it is one of this schema version."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        version = manifest.get("schema_version")
    except (OSError, ValueError, AttributeError) as error:
        raise BundleError(f"bundle {folder}: no readable {MANIFEST} ({error})") from None
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"bundle {folder}: schema version {version}, this program reads {SCHEMA_VERSION}; train again"
        )
    return manifest


def verify(folder: Path) -> dict[str, Any]:
    """Hold every file against the manifest's checksums; returns the manifest."""
    manifest = read_manifest(folder)
    try:
        checksums = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"bundle {folder}: {MANIFEST} is damaged ({error!r})") from None
    for name, expected in checksums.items():
        try:
            actual = _sha256(folder / name)
        except OSError as error:
            raise BundleError(f"bundle {folder}: {name} cannot be read ({error.strerror})") from None
        if actual != expected:
            raise BundleError(f"bundle {folder}: {name} is damaged (checksum differs); vitrine rollback goes back one")
    return manifest


def write(models: Path, version: str, fill: Callable[[Path], dict[str, Any]]) -> Path:
    """Write a bundle, whole or not at all; it is not published yet.

    Parameters
    ----------
    models
        Folder of all bundles.
    version
        Name of the new one; a number is added where it is taken.
    fill
        Writes the files into the folder it is given and returns the manifest's entries.

    Returns
    -------
    Path
        The bundle's folder.
    """
    models.mkdir(parents=True, exist_ok=True)
    staging = models / f"{STAGING}{version}-{os.getpid()}"
    staging.mkdir()
    try:
        entries = fill(staging)
        names = sorted(str(path.relative_to(staging)) for path in staging.rglob("*") if path.is_file())
        files = {name: {"sha256": _sha256(staging / name), "bytes": (staging / name).stat().st_size} for name in names}
        with _lock(models):
            target = _free_name(models, version)
            manifest = {"schema_version": SCHEMA_VERSION, "version": target.name, **entries, "files": files}
            (staging / MANIFEST).write_text(json.dumps(manifest, indent=2, default=str))
            for path in staging.rglob("*"):
                _sync(path)
            _sync(staging)
            staging.rename(target)
            _sync(models)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return target


def publish(models: Path, version: str) -> None:
    """Make a bundle the champion, by one atomic replacement of CURRENT."""
    with _lock(models):
        _point(models, [version, *(name for name in history(models) if name != version)])


def rollback(models: Path) -> tuple[str, str]:
    """Go back to the latest whole champion before this one; returns (from, to).

    Raises
    ------
    BundleError
        Nothing was published before, or no earlier champion is whole.
    """
    if not history(models):  # first of all, since there may be no folder to lock
        raise BundleError(f"{models}: nothing was published yet; vitrine train makes a bundle")
    with _lock(models):
        names = history(models)
        kept = [name for name in names[1:] if (models / name).is_dir()]
        if not kept:
            raise BundleError(f"{models}: no earlier champion than {names[0]} is kept")
        damage: list[str] = []
        for place, name in enumerate(kept):
            try:
                verify(models / name)
            except BundleError as error:
                damage.append(str(error))
                continue
            _point(models, kept[place:])
            return names[0], name
        raise BundleError(f"{models}: no champion before {names[0]} is whole ({'; '.join(damage)}); train again")


def history(models: Path) -> list[str]:
    """Published versions, the champion first; empty if there is none."""
    try:
        return (models / POINTER).read_text().split()
    except (FileNotFoundError, NotADirectoryError):
        return []


def champion(models: Path) -> Path | None:
    """Folder of the bundle in use, None if nothing was published."""
    names = history(models)
    return models / names[0] if names else None


def prune(models: Path, keep: int) -> list[str]:
    """Delete old bundles, never the champion nor the one before it; returns their names.

    Parameters
    ----------
    models
        Folder of all bundles.
    keep
        How many of the latest stay.
    """
    with _lock(models):
        bundles = sorted(path for path in models.iterdir() if path.is_dir() and not path.name.startswith("."))
        safe = {path.name for path in bundles[-keep:]} | set(history(models)[:2])
        gone = [path for path in bundles if path.name not in safe]
        now = time.time()
        stale = [path for path in models.glob(f"{STAGING}*") if now - path.stat().st_mtime > STALE_SECONDS]
        for path in gone:  # renamed first: what has a bundle's name is whole, even if this is killed
            stale.append(path.rename(models / f"{STAGING}{path.name}-gone-{os.getpid()}"))
        for path in stale:
            shutil.rmtree(path, ignore_errors=True)
        return [path.name for path in gone]


def _point(models: Path, names: list[str]) -> None:
    temporary = models / f".{POINTER}.new"  # one name, under the lock: a killed writer leaves no more than this
    with temporary.open("w") as file:
        file.write("\n".join(names) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(models / POINTER)
    _sync(models)


def _free_name(models: Path, version: str) -> Path:
    target, number = models / version, 2
    while target.exists():
        target, number = models / f"{version}_{number}", number + 1
    return target


@contextmanager
def _lock(models: Path) -> Iterator[None]:
    """One writer at a time: two trainings may end at once. The kernel frees it when a writer dies."""
    with (models / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
