"""What stands behind the routes: the bundle in use, sessions, the intake of events."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from app.api.answers import recommendations
from app.api.apart import Apart
from app.api.attribution.attribution import Attribution
from app.api.forgotten_points import ForgottenPoints
from app.api.gathering import Gathering
from app.api.metrics import ApiMetrics
from app.api.models import Ask, Forgetting, MergeAsk, Merging, PostedEvent, PostedEvents, Receipt, Recommendations
from app.api.parts import Part, check_times, parts
from app.api.people import People
from app.api.posted.batches import AcceptedEvent, EventBatch
from app.api.posted.checks import accepted_events
from app.api.posted.intake import Intake, Taken, log_folder
from app.api.posted.landed import check_layout
from app.api.posted.log import HOUR, EventLog
from app.api.posted.sessions import PostedSessions
from app.api.problems import RefusedError
from app.api.shop import Shop
from app.api.variants import ChallengerInUse
from app.core.errors import InputError, VitrineError
from app.core.settings import Settings
from app.events.ids import number_of
from app.events.layout import layout_of
from app.registry.identities import Identities
from app.registry.in_use import BundleInUse
from app.registry.registry import Registry
from app.stream.folders import StreamFolders

TOGETHER = 640  #: places of lists worked out in one call: 64 lists of ten take ten times as long as one
WAITING = 20_000  #: places of lists that may wait
CHANGES_WAITING = 2_000
EVENTS_TOGETHER, EVENTS_WAITING = 5_000, 50_000
LOG = logging.getLogger("vitrine")
Changed = TypeVar("Changed", Forgetting, Merging)


class Service:
    """The API of one output folder, without HTTP.

    Parameters
    ----------
    settings
        Output and landing folder, layout, limits.
    say
        Gets a line about what happens.
    now
        Seconds since 1970.

    Raises
    ------
    InputError
        Nothing is published; the layout can't be read; a folder can't be written to.
    BundleError
        No published bundle is whole.
    """

    def __init__(self, settings: Settings, say: Callable[[str], Any], now: Callable[[], float] = time.time):
        self.settings, self.metrics, self._say, self._now = settings, ApiMetrics(), say, now
        self._layout = layout_of(settings)
        registry = Registry(StreamFolders.of(settings).models)
        self._in_use = BundleInUse(registry, settings, say)
        self.metrics.refused.inc(self._in_use.refused)
        self._challenger = ChallengerInUse(registry, settings, say)
        self._sessions = PostedSessions(self._layout, settings.session_window_hours, settings.session_max_events)
        self.attribution = Attribution(settings, self.metrics, now)
        self.forgotten_points = ForgottenPoints(settings, now)
        self._people = People(settings, self._layout.ids == "text", self.forgotten_points, now)
        self._who = self._people.read()
        self._log: EventLog | None = None
        self._intake: Intake | None = None
        self._no_events = ""  #: why no events are taken
        self._following = asyncio.Lock()
        self._reading, self._committing, self._changing = Apart("reading"), Apart("committing"), Apart("changing")
        self.lists: Gathering[Part, list[Recommendations]] = Gathering(
            self._answer, lambda part: part.weight, TOGETHER, WAITING
        )
        self._commits: Gathering[Sequence[AcceptedEvent], Taken] = Gathering(
            self._commit, len, EVENTS_TOGETHER, EVENTS_WAITING, settings.commit_seconds
        )
        #: One after the other, in a thread of their own: they wait for a lock, which a paused replica may hold.
        self._changes: Gathering[Callable[[], Any], Any] = Gathering(self._change, lambda _: 1, 1, CHANGES_WAITING)
        self._open_events()
        self._variants = self._challenger.beside(self._opened())
        self.ready = True

    @property
    def shop(self) -> Shop:
        """The champion; ask once for what belongs together."""
        return self._variants.champion.shop

    async def recommend(self, *asks: Ask) -> list[Recommendations]:
        """A list for each, all of a variant from one bundle; many take turns with what others ask."""
        for ask in asks:
            check_times(ask)
        variants = self._variants
        found = await self.lists.do_in_turn([Part(part, variants) for part in parts(asks, TOGETHER)])
        return [one for lists in found for one in lists]

    async def post(self, posted: PostedEvent | PostedEvents) -> Receipt:
        """Take events in; answered once they are durable.

        Raises
        ------
        RefusedError
            An event can't be one of this shop; or they could not be stored.
        """
        if self._intake is None:
            raise RefusedError(501, self._no_events)
        accepted = self._checked(posted)
        try:
            taken = await self._commits.do(accepted)
        except (OSError, VitrineError) as error:
            LOG.error("posted events were not stored: %s", error)
            self.metrics.events.labels("failed").inc(len(accepted))
            raise RefusedError(
                503, "the events could not be stored; send them again with the same event_id", {"Retry-After": "5"}
            ) from None
        self.metrics.events.labels("accepted").inc(taken.accepted)
        self.metrics.events.labels("duplicate").inc(taken.duplicates)
        ids = [event.event_id for event in accepted]
        return Receipt(accepted=taken.accepted, duplicates=taken.duplicates, event_ids=ids)

    async def forget(self, user_id: str) -> Forgetting:
        """From now on a user is a stranger, and what the user did before counts for nobody.

        Raises
        ------
        RefusedError
            It is no id of this shop; or the list could not be written to.
        """
        return await self._changed(partial(self._people.forget, user_id), "forgotten")

    async def forgetting(self, user_id: str) -> Forgetting:
        """What has become of the latest forgetting of a user.

        Raises
        ------
        RefusedError
            The user was not forgotten, or it is no id of this shop.
        """
        try:
            return await asyncio.to_thread(self._people.forgetting, user_id)
        except (OSError, VitrineError) as error:
            LOG.error("a receipt was not made: %s", error)
            raise RefusedError(503, "the receipt could not be made; try again", {"Retry-After": "5"}) from None

    async def merge(self, ask: MergeAsk) -> Merging:
        """From now on one user's history and sessions are another's.

        Raises
        ------
        RefusedError
            It can't be done: see `app.api.people.People.merge`; or the list could not be written to.
        """
        return await self._changed(partial(self._people.merge, ask), "merged")

    async def _changed(self, change: Callable[[], Changed], what: str) -> Changed:
        try:
            receipt: Changed = await self._changes.do(change)
        except (OSError, VitrineError) as error:
            LOG.error("a user was not %s: %s", what, error)
            raise RefusedError(503, f"the user could not be {what}; try again", {"Retry-After": "5"}) from None
        await self._follow()
        return receipt

    def follow_champion(self) -> None:
        """Take up the registry's champion, and the challenger once it is there.

        Lists that are being worked out keep the bundle that they have.
        """
        before = self._in_use.refused
        champion = self._opened() if self._in_use.follow() is not self.shop.bundle else self.shop
        variants = self._challenger.beside(champion)
        if variants != self._variants:
            self._variants = variants
        self.metrics.refused.inc(self._in_use.refused - before)

    async def tidy(self) -> None:
        """Deliver what a killed replica left, and forget what is old, and whom others have forgotten."""
        await self._follow()
        if self._intake is not None:
            await self._committing(self._intake.tidy)
            self.metrics.remembered.set(self._intake.remembered)

    def close(self) -> None:
        """Finish what is being done."""
        self.ready = False
        self._reading.close()
        self.attribution.close()
        for waiting in (self._committing, self._changing):  # last: they may wait for a replica that stands still
            waiting.close()

    def _opened(self) -> Shop:
        shop = Shop(self._in_use.bundle)
        shop.warm()
        self.metrics.bundle.info({"version": shop.bundle.version})
        return shop

    def _open_events(self) -> None:
        try:
            check_layout(self._layout)
        except InputError as error:
            self._no_events = str(error)
            self._say(f"{error}; lists are served all the same")
            return
        if self._layout.columns.recommendation_id is None:
            self._say("the layout names no recommendation_id: posted files have it, the stream passes over it")
        self._intake = Intake(self.settings, self._now)
        self._log = EventLog(log_folder(self.settings))
        self._log.start_at(self._window_began())
        self._obey(*self._news())

    async def _follow(self) -> None:
        """Take into the sessions what any replica has accepted, and obey what any was told of users."""
        async with self._following:
            self._obey(*await self._reading(self._news))

    def _news(self) -> tuple[Identities, list[EventBatch]]:
        """Of whom what is not to be known, and batches that were accepted since the last call."""
        who, batches = self._who, list[EventBatch]()
        try:
            who = self._people.read()
            batches = self._log.follow() if self._log is not None else []
        except (OSError, VitrineError) as error:  # a list without the latest events is better than none
            LOG.error("posted events, forgotten or merged users are not followed: %s", error)
            self.metrics.failures.inc()
        return who, batches

    def _obey(self, who: Identities, batches: Sequence[EventBatch]) -> None:
        before, self._who = self._who, who
        if who.forgotten != before.forgotten:
            self._sessions.drop(who.forgotten)
        if who.merged is not before.merged:
            self._sessions.merge(who.merged)
        for batch in batches:
            self._sessions.add(batch, who)
        self._sessions.forget(self._window_began())
        self.metrics.sessions.set(len(self._sessions))

    def _window_began(self) -> float:
        """When the oldest session that may still go on began, seconds since 1970."""
        return self._now() - self.settings.session_window_hours * HOUR

    async def _answer(self, requests: Sequence[Part]) -> list[list[Recommendations]]:
        await self._follow()
        asked = [(part.variants, self._of_survivor(ask)) for part in requests for ask in part.asks]
        asks, theirs = [ask for _, ask in asked], [variants.of(ask) for variants, ask in asked]
        self.metrics.batch.observe(len(asks))
        found: dict[int, Recommendations] = {}
        for variant in {id(one): one for one in theirs}.values():
            places = [place for place, other in enumerate(theirs) if other is variant]
            chosen = [asks[place] for place in places]
            answers = recommendations(
                variant, self._sessions, self._who, chosen, self._now(), self.attribution.remember
            )
            found |= zip(places, answers, strict=True)
        in_order = iter(found[place] for place in range(len(asks)))
        lists = [[next(in_order) for _ in part.asks] for part in requests]
        for one in found.values():
            self.metrics.lists_from(one.products[0].source if one.products else "none").inc()
        return lists

    def _of_survivor(self, ask: Ask) -> Ask:
        """The same for the user whose history and sessions those of the user are."""
        merged = self._who.merged
        user = number_of(ask.user_id, self.shop.text_ids) if merged else None
        if user is None or user not in merged.survivors:
            return ask
        return ask.model_copy(update={"user_id": merged.keys[merged.survivors[user]]})

    def _checked(self, posted: PostedEvent | PostedEvents) -> list[AcceptedEvent]:
        try:
            return accepted_events(posted, self.settings, self._layout, self._now())
        except RefusedError:
            self.metrics.events.labels("rejected").inc(len(posted.events) if isinstance(posted, PostedEvents) else 1)
            raise

    async def _change(self, changes: Sequence[Callable[[], Any]]) -> list[Any]:
        return [await self._changing(change) for change in changes]

    async def _commit(self, requests: Sequence[Sequence[AcceptedEvent]]) -> Sequence[Taken]:
        return await self._committing(partial(self._take, requests))

    def _take(self, requests: Sequence[Sequence[AcceptedEvent]]) -> Sequence[Taken]:
        assert self._intake is not None
        with self.metrics.commit_seconds.time():
            return self._intake.take(requests)
