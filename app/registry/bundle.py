"""One bundle: what a training leaves and serving reads.

A folder with a recommender, the segmentation and a manifest. Where bundles lie and which one is in
use is the registry's business.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from app.core.errors import BundleError
from app.core.files import sync, write_text
from app.registry.manifest import MANIFEST, FileEntry, Manifest, read_manifest
from app.serve.recommender import Recommender
from app.serve.segments import SegmentModel


@dataclass(frozen=True)
class Bundle:
    """An opened bundle."""

    folder: Path
    manifest: Manifest
    recommender: Recommender
    segments: SegmentModel

    @cached_property  # each list has it
    def version(self) -> str:
        return self.folder.name

    @property
    def obeyed(self) -> frozenset[str]:
        """Names of the forgettings (`app.events.forgotten`) that the training has obeyed."""
        return self.manifest.obeyed

    @classmethod
    def open(cls, folder: Path, *, check: bool = True) -> "Bundle":
        """Open a bundle.

        Parameters
        ----------
        folder
            `models/<version>`.
        check
            Verify every file's checksum first; a worker may skip this where its driver has done it.

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


def verify(folder: Path) -> Manifest:
    """Check every file against the manifest; returns the manifest.

    Raises
    ------
    BundleError
        A file is missing or differs, or `read_manifest` refuses.
    """
    manifest = read_manifest(folder)
    for name, entry in manifest.files.items():
        try:
            actual = _sha256(folder / name)
        except OSError as error:
            raise BundleError(f"bundle {folder}: {name} cannot be read ({error.strerror})") from None
        if actual != entry.sha256:
            raise BundleError(f"bundle {folder}: {name} is damaged (checksum differs); vitrine rollback goes back one")
    return manifest


def file_entries(folder: Path) -> dict[str, FileEntry]:
    """Checksum and size of every file below a folder, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): FileEntry(sha256=_sha256(path), bytes=path.stat().st_size)
        for path in paths
    }


def seal(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a bundle whose other files are there, and flush all of it to the disk."""
    write_text(folder / MANIFEST, manifest.text())
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
