"""Names of segments: the thresholds of docs/brief.md where they hold, else what sets a segment apart, in plain words.

No two segments of a training have one name, nor begin alike where there are words enough; and a name stays for as long
as what it says is true.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, takewhile

import numpy as np

from app.serve.segments import FEATURES, Means

SLACK = 0.15  #: a name is kept until the means are this far past a threshold
TELLS = 0.3  #: a feature is spoken of from so many units of the model's scale from the average user on,
HOLDS = 0.1  #: and what was said of it holds down to so many; so does what is most telling, if nothing else is
HARDLY = 0.25  #: of the shop's purchases per view
VIP, LOYAL, ACTIVE, DORMANT, CASUAL = (
    "VIP_Customers",
    "Loyal_Customers",
    "Active_Buyers",
    "Dormant_Users",
    "Casual_Browsers",
)
OF_THRESHOLDS = (VIP, LOYAL, ACTIVE, DORMANT)
FIRST_OF_ALL = 1e6  #: what it is worth that a name begins with something of its own, beside how true it is
AVERAGE = "Average_Users"  #: nothing sets them apart
NEVER_BUYS, HARDLY_BUYS = "never buys", "hardly ever buys"
NUMBER = re.compile(r" \(\d+\)$")
OF_SEVERAL = re.compile(rf"(.+) \(({'|'.join(OF_THRESHOLDS)})\)")  #: a name that others begin with too, said last


@dataclass(frozen=True)
class Words:
    """What is said of a feature well above and well below the average, if anything; one thing of each theme."""

    theme: str
    above: str
    below: str


BUYING = "buying"
WORDS = {
    "recency": Words("recency", "long not seen", "seen lately"),
    "frequency": Words("activity", "many visits", "few visits"),
    "monetary": Words(BUYING, "spends much", "spends little"),
    "conversion_rate": Words(BUYING, "buys readily", "seldom buys"),
    "cart_abandonment": Words("carts", "leaves carts behind", ""),
    "unique_products": Words("activity", "many products", "few products"),
    "unique_categories": Words("activity", "many categories", "few categories"),
    "avg_price": Words("price", "high prices", "low prices"),
    "price_level": Words("price", "prefers dear products", "prefers cheap products"),
}
NEAR = "near the average"  #: a rule of the brief holds, and hardly anything sets them apart
ONE_DAY = "one day only"  #: said of few visits
ONCE, STILL_ONCE = 1.05, 1.1  #: mean number of days below which it is said, and below which it stays
#: What is said -> the feature, and whether it lies above (1) or below (-1).
SAID = {words: (name, sign) for name, pair in WORDS.items() for words, sign in ((pair.above, 1.0), (pair.below, -1.0))}
SAID[ONE_DAY] = ("frequency", -1.0)


@dataclass(frozen=True)
class Cluster:
    """A segment as its name sees it.

    `apart`: how far its centroid is from the average user, by feature of `FEATURES`, in units of the model's scale.
    `means`: of its users, None where it has none. `shop_buys`: purchases per view of all users.
    """

    apart: Sequence[float]
    means: Means | None
    shop_buys: float

    def at(self, feature: str) -> float:
        return float(self.apart[FEATURES.index(feature)])

    def is_near(self, below: float = TELLS) -> bool:
        return max(map(abs, self.apart)) < below

    def buys_hardly(self, slack: float = 0.0) -> bool:
        means = self.means
        hardly = means is not None and means.conversion_rate < HARDLY * (1 + slack) * self.shop_buys
        return hardly and not self._buys_unseen()

    def buys_nothing(self) -> bool:
        means = self.means
        return means is not None and means.conversion_rate == means.monetary == 0 and not self._buys_unseen()

    def _buys_unseen(self) -> bool:
        """Whether they buy, though not what they viewed: without a view there are no purchases per view."""
        return self.at("conversion_rate") >= TELLS  # that of the model is smoothed, and knows of their purchases

    def comes_once(self, most: float = ONCE) -> bool:
        return self.means is not None and self.means.frequency < most


def segment_name(means: Means) -> str:
    """Business name of a cluster by fixed thresholds on its means (docs/brief.md, `_assign_segment_names`)."""
    return next((name for name, holds in _rules(means).items() if holds), CASUAL)


def _rules(means: Means, slack: float = 0.0) -> dict[str, bool]:
    """Which rules hold, in their order, each threshold loosened by a share (tightened by a negative one)."""
    low, high = 1 - slack, 1 + slack
    return {
        VIP: means.monetary > 500 * low and means.frequency > 10 * low and means.recency < 30 * high,
        LOYAL: means.frequency > 5 * low and means.recency < 60 * high,
        ACTIVE: means.recency < 30 * high and means.conversion_rate > 0.1 * low,
        DORMANT: means.recency > 60 * low and means.frequency < 3 * high,
    }


def stable_name(means: Means, previous: str) -> str:
    """The previous name while the means are within `SLACK` of its thresholds, else the new one.

    Rules are tried in order, so a name is left in two ways: its own rule fails by more than the slack, or
    an earlier rule holds by more than the slack.
    """
    loose, tight = _rules(means, SLACK), _rules(means, -SLACK)
    earlier = takewhile(lambda name: name != previous, tight)
    stays = loose.get(previous, True) and not any(tight[name] for name in earlier)
    return previous if stays else segment_name(means)


def segment_names(clusters: Sequence[Cluster], previous: Sequence[str]) -> list[str]:
    """Names by segment, no two alike.

    Parameters
    ----------
    clusters
        By segment id.
    previous
        Of each the name that it had before this training; empty where it had none. None of them twice.
    """
    names = [name if name and still_true(name, one) else "" for one, name in zip(clusters, previous, strict=True)]
    bases = [_parsed(name)[0] if name else _fitting(one) for one, name in zip(clusters, names, strict=True)]
    shared = {base for base, times in Counter(bases).items() if times > 1}
    names = ["" if name in shared else name for name in names]  # alone it would be taken for all of that name
    kept = [name for name in names if name]
    taken = {_meaning(name) for name in kept}
    unnamed = [place for place, name in enumerate(names) if not name]
    said = {at: _sayable(clusters[at], bases[at]) for at in unnamed if bases[at] in (CASUAL, *shared)}
    first = _first_words(said, {words[0] for name in kept if (words := _parsed(name)[1])})
    # The one that a thing is most true of says it in the fewest words.
    for place in sorted(unnamed, key=lambda at: (-max(map(abs, clusters[at].apart)), at)):
        fitting = _candidates(said[place], bases[place], first.get(place)) if place in said else [bases[place]]
        names[place] = next(name for name in fitting if _meaning(name) not in taken)
        taken.add(_meaning(names[place]))
    return names


def _first_words(said: Mapping[int, Mapping[str, float]], taken: set[str]) -> dict[int, str]:
    """What the names of segments begin with: each with something else, as many as can be, and as true as can be.

    Parameters
    ----------
    said
        `_sayable` of each, by place.
    taken
        What other names begin with.
    """
    words = sorted({words for sayable in said.values() for words in sayable} - taken)
    worth = [
        [sayable[each] + FIRST_OF_ALL if each in sayable else -FIRST_OF_ALL for each in words] + [0.0] * len(said)
        for sayable in said.values()  # the last columns: to begin with nothing of one's own
    ]
    places = list(said)
    from scipy.optimize import linear_sum_assignment  # see `clusters`

    chosen = zip(*linear_sum_assignment(np.reshape(worth, (len(said), -1)), maximize=True), strict=True) if said else ()
    return {places[row]: words[column] for row, column in chosen if column < len(words)}


def traits(cluster: Cluster) -> list[str]:
    """What sets a segment apart, in plain words, the most telling first; one thing of each theme."""
    found: dict[str, str] = {}
    for name in sorted(FEATURES, key=lambda name: -abs(cluster.at(name))):
        text, apart = _said(name, cluster), abs(cluster.at(name))
        if text and (apart >= TELLS or (not found and apart >= HOLDS)):
            found.setdefault(WORDS[name].theme, text)
    if not cluster.buys_hardly():
        return list(found.values())
    found.pop(BUYING, None)
    texts = list(found.values())
    return [*texts[:1], NEVER_BUYS if cluster.buys_nothing() else HARDLY_BUYS, *texts[1:]]


def _said(feature: str, cluster: Cluster) -> str:
    words = WORDS[feature]
    if cluster.at(feature) > 0:
        return words.above
    return ONE_DAY if feature == "frequency" and cluster.comes_once() else words.below


def still_true(name: str, cluster: Cluster) -> bool:
    """Whether what a name says holds, thresholds loosened, and no rule of the brief speaks clearly against it."""
    if NUMBER.sub("", name) == AVERAGE:
        return cluster.is_near(TELLS + HOLDS)
    base, said = _parsed(name)
    if cluster.means is not None and stable_name(cluster.means, base) != base:
        return False
    return all(_holds(words, cluster) for words in said)


def _parsed(name: str) -> tuple[str, list[str]]:
    """By which thresholds a name is given, and what it says in plain words, if anything."""
    text, base = NUMBER.sub("", name), CASUAL
    if text in OF_THRESHOLDS:
        return text, []
    if text == AVERAGE:
        return base, []
    if found := OF_SEVERAL.fullmatch(text):
        text, base = found.groups()
    return base, (text[:1].lower() + text[1:]).split(", ")


def _meaning(name: str) -> tuple[str, frozenset[str], str]:
    """What a name says, in whatever order: the same words the other way round tell nobody apart."""
    base, said = _parsed(name)
    number = NUMBER.search(name)
    return base, frozenset(said), number[0] if number else ""


def _holds(words: str, cluster: Cluster) -> bool:
    if words in (NEVER_BUYS, HARDLY_BUYS):
        holds = cluster.buys_nothing() if words == NEVER_BUYS else cluster.buys_hardly(SLACK)
        return cluster.means is None or holds
    if words == NEAR:
        return cluster.is_near(TELLS + HOLDS)
    if words not in SAID:
        return False  # of an earlier edition
    if words == ONE_DAY and not (cluster.means is None or cluster.comes_once(STILL_ONCE)):
        return False
    name, sign = SAID[words]
    return sign * cluster.at(name) >= HOLDS


def _fitting(cluster: Cluster) -> str:
    return segment_name(cluster.means) if cluster.means is not None else CASUAL


def _sayable(cluster: Cluster, base: str) -> dict[str, float]:
    """Words that a name may have, the most telling first, and how far from the average user they are true."""
    near = {NEAR: 0.0} if base != CASUAL and cluster.is_near() else {}
    return near | {words: abs(cluster.at(SAID[words][0])) if words in SAID else 0.0 for words in traits(cluster)}


def _candidates(sayable: Iterable[str], base: str, first: str | None) -> Iterator[str]:
    """Names that fit, the shortest first; a base that several share stands at the end."""
    order = {first: 0, NEVER_BUYS: 1, HARDLY_BUYS: 1} if first else {}
    said = sorted(sayable, key=lambda words: order.get(words, 2))
    fewest = min(2 if base == CASUAL else 1, len(said))
    texts = [", ".join(said[:length]) for length in range(fewest, len(said) + 1)]
    names = [text[:1].upper() + text[1:] for text in texts]
    names = [name or AVERAGE if base == CASUAL else f"{name} ({base})" if name else base for name in names]
    return chain(names, (f"{names[-1]} ({number})" for number in count(2)))
