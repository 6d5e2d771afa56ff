"""The bundle that the stream uses: changed between micro-batches, never within one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.core.errors import BundleError, InputError
from app.registry import bundle
from app.registry.bundle import Bundle
from app.stream.list_files import replacing

KEPT_PINS = 100  #: only the last micro-batch can ever be tried again


class Champion:
    """Follows `models/CURRENT`; a damaged bundle is refused in favour of the one in use.

    `refused` counts refusals. Opening verifies every checksum, once per bundle.
    """

    def __init__(self, models: Path, pins: Path, say: Callable[[str], Any]):
        self._models, self._pins, self._say = models, pins, say
        self._bad: str | None = None
        self.refused = 0
        names = bundle.history(models)
        if not names:
            raise InputError(f"{models}: no bundle is published; run vitrine train first")
        self.bundle = self._first(names)

    def for_batch(self, batch: int) -> Bundle:
        """The bundle of a micro-batch; the same one when the micro-batch is tried again."""
        pin = self._pins / f"{batch:09d}"
        if pin.exists():
            folder = self._models / pin.read_text()
            if folder.name != self.bundle.version and folder.is_dir():
                self.bundle = Bundle.open(folder)
            return self.bundle
        self._follow()
        with replacing(pin) as path:
            path.write_text(self.bundle.version)
        (self._pins / f"{batch - KEPT_PINS:09d}").unlink(missing_ok=True)
        return self.bundle

    def _first(self, names: list[str]) -> Bundle:
        """The champion; where it is damaged, the latest whole one before it."""
        damage: list[BundleError] = []
        for name in names:
            try:
                opened = Bundle.open(self._models / name)
            except BundleError as error:
                damage.append(error)
                continue
            if damage:
                self._bad, self.refused = names[0], 1
                self._say(f"bundle refused, {name} before it is in use: {damage[0]}")
            return opened
        raise damage[0]

    def _follow(self) -> None:
        folder = bundle.champion(self._models)
        if folder is None or folder.name in (self.bundle.version, self._bad):
            return
        try:
            self.bundle = Bundle.open(folder)
        except BundleError as error:
            self._bad, self.refused = folder.name, self.refused + 1
            self._say(f"bundle refused, {self.bundle.version} stays in use: {error}")
        else:
            self._bad = None
            self._say(f"bundle {self.bundle.version} is in use")
