"""What lists led to, in words and as JSON: by variant, source and kind of reason."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.api.attribution.counter import Folders
from app.api.attribution.counts import FILE, Counts, Row
from app.api.variants import CHALLENGER, CHAMPION
from app.core.errors import InputError
from app.core.settings import Settings
from app.evaluate.proportions import Difference, Share

WHAT = ("clicked", "carted", "bought")
DAY = 86_400


@dataclass(frozen=True)
class Group:
    """Lists or places that have something in common, and what came of them."""

    name: str
    number: int
    clicked: Share
    carted: Share
    bought: Share
    revenue: float


@dataclass(frozen=True)
class Summary:
    """Of so many days."""

    days: float
    lists: Group
    sources: list[Group]
    reasons: list[Group]
    experiments: dict[str, list[Group]]
    differences: dict[str, dict[str, Difference]]
    events: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"Lists answered in the last {self.days:g} days, and what came of them (each list once)"]
        lines += _table([self.lists], "")
        lines += ["", "Places by source (each place once)", *_table(self.sources, "source")]
        lines += ["", "Places by kind of reason", *_table(self.reasons, "reason")]
        for name, variants in self.experiments.items():
            lines += ["", f"Experiment {name}: lists of its users by variant", *_table(variants, "variant")]
            lines += [f"  {what}: {difference}" for what, difference in self.differences.get(name, {}).items()]
        outcomes = ", ".join(f"{outcome} {events:,}" for outcome, events in self.events.items())
        return "\n".join([*lines, "", f"Events that name a list: {outcomes or 'none'}"])


def summary(settings: Settings, days: float) -> Summary:
    """What was counted in the last days.

    Raises
    ------
    InputError
        Nothing was counted on this output.
    VitrineError
        The counts can't be read.
    """
    folder = Folders.of(settings).counts
    if not (folder / FILE).is_file():
        raise InputError(f"{folder}: nothing was counted yet; vitrine serve counts what its lists lead to")
    counts = Counts(folder)
    try:
        lists, places, events = (
            counts.since(table, time.time() - days * DAY) for table in ("lists", "places", "events")
        )
    finally:
        counts.close()
    taking_part = [row for row in lists if row["experiment"]]
    experiments = {
        str(name): _groups((row for row in taking_part if row["experiment"] == name), "variant", "answered")
        for name in sorted({row["experiment"] for row in taking_part}, key=str)
    }
    outcomes: defaultdict[str, int] = defaultdict(int)
    for row in events:
        outcomes[str(row["outcome"])] += int(row["events"])
    return Summary(
        days,
        _group("all", lists, "answered"),
        _groups(places, "source", "shown"),
        _groups(places, "reason", "shown"),
        experiments,
        {name: _differences(groups) for name, groups in experiments.items()},
        dict(outcomes),
    )


def _groups(rows: Iterable[Row], key: str, number: str) -> list[Group]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[str(row[key])].append(row)
    return sorted((_group(name, group, number) for name, group in found.items()), key=lambda group: -group.number)


def _group(name: str, rows: list[Row], number: str) -> Group:
    whole = sum(int(row[number]) for row in rows)
    shares: Mapping[str, Share] = {what: Share.of(sum(int(row[what]) for row in rows), whole) for what in WHAT}
    return Group(name, whole, **shares, revenue=sum(float(row["revenue"]) for row in rows))


def _differences(groups: list[Group]) -> dict[str, Difference]:
    by_name = {group.name: group for group in groups}
    if by_name.keys() != {CHAMPION, CHALLENGER}:
        return {}
    return {what: Difference.of(getattr(by_name[CHALLENGER], what), getattr(by_name[CHAMPION], what)) for what in WHAT}


def _table(groups: list[Group], title: str) -> list[str]:
    head = f"  {title:<14} {'number':>12}  {'clicked':<28} {'carted':<28} {'bought':<28} {'revenue':>12}"
    return [head] + [
        f"  {group.name:<14} {group.number:>12,}  {group.clicked!s:<28} {group.carted!s:<28} {group.bought!s:<28} "
        f"{group.revenue:>12,.2f}"
        for group in groups
    ]
