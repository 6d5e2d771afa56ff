"""`manifest.json`: what a bundle is, and the checksum of every other file in it."""

import json
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from app.core.errors import BundleError

SCHEMA_VERSION: Final = 3  #: of the folder's content; raised when an older program could not read it
MANIFEST = "manifest.json"


class FileEntry(BaseModel):
    """Checksum (SHA-256, hex) and size of a file."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    bytes: int


class Manifest(BaseModel):
    """A bundle's manifest. Keys other than these are the training's, kept as values of JSON.

    `files`: by path below the bundle's folder; `synthetic`: whether it was trained on a made-up shop.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    schema_version: int = SCHEMA_VERSION
    version: str
    synthetic: bool = False
    files: dict[str, FileEntry]

    @property
    def obeyed(self) -> frozenset[str]:
        """Names of the forgettings that the training has obeyed; a bundle that doesn't say knows all users."""
        names = self.__pydantic_extra__.get("forgotten", [])
        return frozenset(str(name) for name in names) if isinstance(names, list) else frozenset()

    @property
    def merged_until(self) -> int:
        """The latest merge of users that the training has obeyed, in microseconds since 1970."""
        moment = self.__pydantic_extra__.get("merged_until", 0)
        return moment if isinstance(moment, int) else 0

    @classmethod
    def of(cls, version: str, entries: BaseModel, files: dict[str, FileEntry]) -> "Manifest":
        """The manifest of a new bundle.

        Parameters
        ----------
        version
            Name of the bundle.
        entries
            What the training records.
        files
            Every file but the manifest.
        """
        return cls.model_validate({**entries.model_dump(mode="json"), "version": version, "files": files})

    def text(self) -> str:
        """As it is written."""
        return json.dumps(self.model_dump(mode="json"), indent=2)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle that this program can read.

    Raises
    ------
    BundleError
        No manifest, a damaged one, or one of another schema version.
    """
    try:
        found = json.loads((folder / MANIFEST).read_text())
        version = found.get("schema_version")
    except (OSError, ValueError, AttributeError) as error:
        raise BundleError(f"bundle {folder}: no readable {MANIFEST} ({error})") from None
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"bundle {folder}: has schema version {version}, but this version of Vitrine reads {SCHEMA_VERSION}; "
            "make a new one with vitrine train"
        )
    try:
        return Manifest.model_validate(found)
    except ValidationError as error:
        raise BundleError(f"bundle {folder}: {MANIFEST} is damaged ({first_error(error)})") from None


def first_error(error: ValidationError) -> str:
    """The first thing that a manifest was refused for: where, and why."""
    first = error.errors()[0]
    return f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}"
