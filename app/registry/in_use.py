"""The bundle in use: the registry's champion, followed by what serves from it."""

from collections.abc import Callable
from typing import Any

from app.core.errors import BundleError, InputError
from app.core.settings import Settings
from app.events.layout import layout_of
from app.registry.bundle import Bundle
from app.registry.registry import Registry


class BundleInUse:
    """Follows the registry's champion; a damaged bundle is refused in favour of the one in use.

    Opening verifies every checksum, once per bundle.

    Parameters
    ----------
    registry
        Where bundles are published.
    settings
        Of the stream or the API: a bundle whose bounds or ids are others is refused like a damaged one.
    say
        Gets a line about a bundle taken up or refused.

    Attributes
    ----------
    bundle
        The one in use.
    refused
        How many bundles were refused.

    Raises
    ------
    InputError
        Nothing is published.
    BundleError
        No published bundle is whole.
    """

    def __init__(self, registry: Registry, settings: Settings, say: Callable[[str], Any]):
        self._registry, self._settings, self._say = registry, settings, say
        self._bad: str | None = None
        self.refused = 0
        check_published(registry)
        self.bundle = self._first(registry.history())

    def follow(self) -> Bundle:
        """Take up the champion, if it is another one than before and whole; the bundle in use then."""
        folder = self._registry.champion()
        if folder is None or folder.name in (self.bundle.version, self._bad):
            return self.bundle
        try:
            self.bundle = self._open(folder.name)
        except BundleError as error:
            self._bad, self.refused = folder.name, self.refused + 1
            self._say(f"bundle refused, {self.bundle.version} stays in use: {error}")
        else:
            self._bad = None
            self._say(f"bundle {self.bundle.version} is in use")
        return self.bundle

    def use(self, version: str) -> Bundle:
        """Take up a bundle by its name, whichever is the champion, if it is kept."""
        if version != self.bundle.version and (self._registry.folder / version).is_dir():
            self.bundle = self._open(version)
        return self.bundle

    def _open(self, version: str) -> Bundle:
        return open_fitting(self._registry, version, self._settings)

    def _first(self, names: list[str]) -> Bundle:
        """The champion; where it is damaged, the latest whole one before it."""
        damage: list[BundleError] = []
        for name in names:
            try:
                opened = self._open(name)
            except BundleError as error:
                damage.append(error)
                continue
            if damage:
                self._bad, self.refused = names[0], 1
                self._say(f"bundle refused, {name} before it is in use: {damage[0]}")
            return opened
        raise damage[0]


def open_fitting(registry: Registry, version: str, settings: Settings) -> Bundle:
    """Open a bundle, its checksums verified.

    Raises
    ------
    BundleError
        It is missing or damaged, or its bounds or ids are others than those of the settings.
    """
    opened = Bundle.open(registry.open(version), check=False)
    _check_fit(opened, settings)
    return opened


def check_published(registry: Registry) -> None:
    """See that there is a bundle at all.

    Raises
    ------
    InputError
        Nothing is published.
    """
    if not registry.history():
        raise InputError(f"{registry.folder}: no bundle is published; run vitrine train first")


def _check_fit(bundle: Bundle, settings: Settings) -> None:
    """See that training and serving mean the same by an id and by a session.

    Raises
    ------
    BundleError
        They don't.
    """
    trained, text = bundle.recommender.parameters, layout_of(settings).ids == "text"
    if trained.text_ids != text:
        raise BundleError(
            f"bundle {bundle.folder}: its ids are {'text' if trained.text_ids else 'integers'}, those of the given "
            f"layout {'text' if text else 'integers'}; give the --layout of the training"
        )
    if trained.session_max_events != settings.session_max_events:
        raise BundleError(
            f"bundle {bundle.folder}: was trained with VITRINE_SESSION_MAX_EVENTS {trained.session_max_events}, here "
            f"it is {settings.session_max_events}; give both the same"
        )
