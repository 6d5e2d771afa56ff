"""Two bundles served side by side: the champion, and a challenger for a part of the users."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.api.models import Ask
from app.api.shop import Shop
from app.core.errors import BundleError
from app.core.settings import Settings
from app.events.ids import number_of
from app.registry.bundle import Bundle
from app.registry.in_use import open_fitting
from app.registry.registry import Registry

CHAMPION, CHALLENGER = "champion", "challenger"
HASH_BYTES = 8


def split(experiment: str, user: int) -> float:
    """Where a user stands in an experiment, from 0 to 1: the same in every replica, and another in every experiment."""
    digest = hashlib.blake2b(f"{experiment}/{user}".encode(), digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest) / 256**HASH_BYTES


@dataclass(frozen=True)
class Variant:
    """A bundle that answers, and the experiment that goes on; "" if there is none."""

    name: str
    shop: Shop
    experiment: str

    def experiment_of(self, ask: Ask) -> str:
        """The experiment that a list takes part in: only a user is told again, so "" without one."""
        known = self.experiment and number_of(ask.user_id, self.shop.text_ids) is not None
        return self.experiment if known else ""


@dataclass(frozen=True)
class Variants:
    """What answers at one moment.

    Attributes
    ----------
    champion
        Answers all that no other does.
    challenger
        None if there is none.
    share
        Of the users whom the challenger answers.
    """

    champion: Variant
    challenger: Variant | None = None
    share: float = 0.0

    def of(self, ask: Ask) -> Variant:
        """Who answers a request."""
        user = number_of(ask.user_id, self.champion.shop.text_ids)
        if self.challenger is None or user is None or split(self.challenger.experiment, user) >= self.share:
            return self.champion
        return self.challenger


class ChallengerInUse:
    """Looks for the challenger of the settings until it is there; a damaged one is refused, once and for all.

    Parameters
    ----------
    registry
        Where bundles are, published or not.
    settings
        `challenger`, `challenger_share`, `experiment`.
    say
        Gets a line about what happens.
    """

    def __init__(self, registry: Registry, settings: Settings, say: Callable[[str], Any]):
        self._registry, self._settings, self._say = registry, settings, say
        self._shop: Shop | None = None
        self._said = ""
        self._refused = False

    def beside(self, champion: Shop) -> Variants:
        """The champion, with the challenger if there is one."""
        settings = self._settings
        alone = Variants(Variant(CHAMPION, champion, ""))
        if settings.challenger is None:
            return alone
        if settings.challenger == champion.bundle.version:
            self._tell(f"challenger {settings.challenger} is the champion, and serves all users")
            return alone
        shop = self._open(settings.challenger)
        if shop is None:
            return alone
        experiment = settings.experiment or settings.challenger
        share = settings.challenger_share
        self._tell(f"challenger {settings.challenger} serves {share:.4g} of the users, experiment {experiment}")
        return Variants(
            Variant(CHAMPION, champion, experiment), Variant(CHALLENGER, shop, experiment), settings.challenger_share
        )

    def _open(self, version: str) -> Shop | None:
        if self._shop is not None or self._refused:
            return self._shop
        folder = self._registry.folder / version
        if Path(version).name != version or not folder.is_dir():
            self._tell(
                f"challenger {version}: {self._registry.folder} has no such bundle; the champion serves all users"
            )
            return None
        try:
            bundle: Bundle = open_fitting(self._registry, version, self._settings)
        except BundleError as error:
            self._refused = True
            self._tell(f"challenger refused, the champion serves all users: {error}")
            return None
        self._shop = Shop(bundle)
        self._shop.warm()
        return self._shop

    def _tell(self, line: str) -> None:
        if line != self._said:
            self._say(line)
        self._said = line
