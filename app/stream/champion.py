"""The bundle that the stream uses: changed between micro-batches, never within one."""

from pathlib import Path

from app.core.files import write_text
from app.registry.bundle import Bundle
from app.registry.in_use import BundleInUse

KEPT_PINS = 100  #: only the last micro-batch can ever be tried again


class Champion:
    """Gives each micro-batch its bundle, the same one at a second try.

    Parameters
    ----------
    in_use
        Follows the registry.
    pins
        Folder that remembers which bundle each micro-batch used.
    """

    def __init__(self, in_use: BundleInUse, pins: Path):
        self._in_use, self._pins = in_use, pins

    @property
    def bundle(self) -> Bundle:
        """The one in use."""
        return self._in_use.bundle

    @property
    def refused(self) -> int:
        """How many bundles were refused."""
        return self._in_use.refused

    def for_batch(self, batch: int) -> Bundle:
        """The bundle of a micro-batch; the same one when the micro-batch is tried again."""
        pin = self._pins / f"{batch:09d}"
        if pin.exists():
            return self._in_use.use(pin.read_text())
        bundle = self._in_use.follow()
        write_text(pin, bundle.version)
        (self._pins / f"{batch - KEPT_PINS:09d}").unlink(missing_ok=True)
        return bundle
