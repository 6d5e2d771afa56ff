"""One bundle: what a training leaves and serving reads.

A folder with a recommender, the segmentation and `manifest.json`, which says what the bundle is and
holds the checksum of every other file. Where bundles lie and which one is in use is the registry's.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import BundleError
from app.core.files import sync, write_text
from app.serve.recommender import Recommender
from app.serve.segments import SegmentModel

SCHEMA_VERSION = 2  #: of the folder's content; raised when an older program could not read it
MANIFEST = "manifest.json"

Checksums = dict[str, dict[str, Any]]  #: by file below the bundle's folder: `sha256` (hex) and `bytes`


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

    @property
    def synthetic(self) -> bool:
        """Whether it was trained on a made-up shop."""
        return self.manifest.get("synthetic") is True

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
    """The manifest of a bundle that this program can read.

    Raises
    ------
    BundleError
        No manifest, a damaged one, or one of another schema version.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        version = manifest.get("schema_version")
    except (OSError, ValueError, AttributeError) as error:
        raise BundleError(f"bundle {folder}: no readable {MANIFEST} ({error})") from None
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"bundle {folder}: has schema version {version}, and this edition reads {SCHEMA_VERSION}; "
            "make a new one with vitrine train"
        )
    return manifest


def verify(folder: Path) -> dict[str, Any]:
    """Hold every file against the manifest's checksums; returns the manifest.

    Raises
    ------
    BundleError
        A file is missing or differs, or `read_manifest` refuses.
    """
    manifest = read_manifest(folder)
    try:
        expected = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"bundle {folder}: {MANIFEST} is damaged ({error!r})") from None
    for name, sha256 in expected.items():
        try:
            actual = _sha256(folder / name)
        except OSError as error:
            raise BundleError(f"bundle {folder}: {name} cannot be read ({error.strerror})") from None
        if actual != sha256:
            raise BundleError(f"bundle {folder}: {name} is damaged (checksum differs); vitrine rollback goes back one")
    return manifest


def checksums(folder: Path) -> Checksums:
    """Checksum and size of every file below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"sha256": _sha256(path), "bytes": path.stat().st_size} for path in paths
    }


def seal(folder: Path, version: str, entries: dict[str, Any], files: Checksums) -> None:
    """Write the manifest of a bundle that is complete but for it, and have all of it reach the disk.

    Parameters
    ----------
    folder
        Where the bundle's files lie.
    version
        The name it will have.
    entries
        What the training says of it, JSON-able.
    files
        Its `checksums`.
    """
    manifest = {"schema_version": SCHEMA_VERSION, "version": version, **entries, "files": files}
    write_text(folder / MANIFEST, json.dumps(manifest, indent=2, default=str))
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
