"""What stands behind the routes: the bundle in use, sessions, the intake of events."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from app.api.answers import recommendations
from app.api.attribution.attribution import Attribution
from app.api.forgotten_points import ForgottenPoints
from app.api.gathering import Gathering
from app.api.metrics import ApiMetrics
from app.api.models import Ask, Forgetting, MergeAsk, Merging, PostedEvent, PostedEvents, Receipt, Recommendations
from app.api.people import People
from app.api.posted.batches import AcceptedEvent
from app.api.posted.checks import FIRST_MOMENT, accepted_events
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
from app.registry.in_use import BundleInUse
from app.registry.registry import Registry
from app.stream.folders import StreamFolders

TOGETHER = 64  #: lists worked out in one call: these cost about three times one
WAITING = 2_000  #: lists that may wait
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
        self._challenger = ChallengerInUse(registry, settings, say)
        self._sessions = PostedSessions(self._layout, settings.session_window_hours, settings.session_max_events)
        self.attribution = Attribution(settings, self.metrics, now)
        self.forgotten_points = ForgottenPoints(settings, now)
        self._people = People(settings, self._layout.ids == "text", self.forgotten_points, now)
        self._who = self._people.read()
        self._log: EventLog | None = None
        self._intake: Intake | None = None
        self._no_events = ""  #: why no events are taken
        self.lists: Gathering[tuple[Ask, ...], list[Recommendations]] = Gathering(self._answer, len, TOGETHER, WAITING)
        self._commits: Gathering[Sequence[AcceptedEvent], Taken] = Gathering(
            self._take, len, EVENTS_TOGETHER, EVENTS_WAITING, apart=True, pause=settings.commit_seconds
        )
        #: One after the other, in a thread of their own: they wait for a lock, which a paused replica may hold.
        self._changes: Gathering[Callable[[], Any], Any] = Gathering(
            lambda changes: [change() for change in changes], lambda _: 1, 1, WAITING, apart=True
        )
        self._open_events()
        self._variants = self._challenger.beside(self._opened())
        self.ready = True

    @property
    def shop(self) -> Shop:
        """The champion; ask once for what belongs together."""
        return self._variants.champion.shop

    async def recommend(self, *asks: Ask) -> list[Recommendations]:
        """A list for each, all of a variant from one bundle."""
        for ask in asks:
            _check_times(ask)
        return await self.lists.do(asks)

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
        await self.lists.aside(self._follow_log)
        return receipt

    def follow_champion(self) -> None:
        """Take up the registry's champion, and the challenger once it is there.

        Lists that are being worked out keep the bundle that they have.
        """
        before = self._in_use.refused
        champion = self._opened() if self._in_use.follow() is not self.shop.bundle else self.shop
        self._variants = self._challenger.beside(champion)
        self.metrics.refused.inc(self._in_use.refused - before)

    async def tidy(self) -> None:
        """Deliver what a killed replica left, and forget what is old, and whom others have forgotten."""
        await self.lists.aside(self._follow_log)
        if self._intake is not None:
            await self._commits.aside(self._intake.tidy)
            self.metrics.remembered.set(self._intake.remembered)

    def close(self) -> None:
        """Finish what is being done."""
        self.ready = False
        self.lists.close()
        self._commits.close()
        self.attribution.close()
        self._changes.close()  # last: it may wait for a replica that stands still

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
        self._follow_log()

    def _follow_log(self) -> None:
        """Take into the sessions what any replica has accepted, and obey what any was told of users."""
        try:
            before, self._who = self._who, self._people.read()
            if self._who.forgotten != before.forgotten:
                self._sessions.drop(self._who.forgotten)
            if self._who.merged is not before.merged:
                self._sessions.merge(self._who.merged)
            for batch in self._log.follow() if self._log is not None else ():
                self._sessions.add(batch, self._who)
        except (OSError, VitrineError) as error:  # a list without the latest events is better than none
            LOG.error("posted events, forgotten or merged users are not followed: %s", error)
            self.metrics.failures.inc()
        self._sessions.forget(self._window_began())
        self.metrics.sessions.set(len(self._sessions))

    def _window_began(self) -> float:
        """When the oldest session that may still go on began, seconds since 1970."""
        return self._now() - self.settings.session_window_hours * HOUR

    def _answer(self, requests: Sequence[tuple[Ask, ...]]) -> list[list[Recommendations]]:
        variants = self._variants
        self._follow_log()
        asks = [self._of_survivor(ask) for request in requests for ask in request]
        self.metrics.batch.observe(len(asks))
        found: dict[int, Recommendations] = {}
        theirs = [variants.of(ask) for ask in asks]
        for variant in filter(None, (variants.champion, variants.challenger)):
            places = [place for place, other in enumerate(theirs) if other is variant]
            chosen = [asks[place] for place in places]
            if chosen:
                answers = recommendations(
                    variant, self._sessions, self._who, chosen, self._now(), self.attribution.remember
                )
                found |= zip(places, answers, strict=True)
        in_order = iter(found[place] for place in range(len(asks)))
        lists = [[next(in_order) for _ in request] for request in requests]
        for request in lists:
            for one in request:
                self.metrics.lists.labels(one.products[0].source if one.products else "none").inc()
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

    def _take(self, requests: Sequence[Sequence[AcceptedEvent]]) -> Sequence[Taken]:
        assert self._intake is not None
        with self.metrics.commit_seconds.time():
            return self._intake.take(requests)


def _check_times(ask: Ask) -> None:
    timed = [event.event_time is not None for event in ask.session or ()]
    if any(timed) and not all(timed):
        raise RefusedError(422, "session: give event_time of all events or of none")
    for event in ask.session or ():
        if event.event_time is not None and event.event_time < FIRST_MOMENT:
            raise RefusedError(422, "session: event_time before 2000")
