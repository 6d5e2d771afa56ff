"""The measurements that a training writes, one point or some each, by the time at which it started."""

from app.events.vocabulary import CART, PURCHASE, VIEW
from app.monitor.lines import BATCH_CLOCK, Field, Measurement, Tag
from app.serve.segments import UNITS, Means

CLOCK = f"{BATCH_CLOCK}: start of the training"
STEPS = (VIEW, CART, PURCHASE)  #: of the funnel
SEGMENT = Tag("segment", 'customer segment\'s id, "unknown" where the bundle does not know the user')
TRAINED = Tag("model_version", "bundle trained")
_ENDS = {"bought": "bought in time", "removed": "taken out", "left": "left behind", "open": "not decided yet"}

MODEL = Measurement(
    "model",
    "One point per training, published or not; metrics on the test slice over the whole catalogue.",
    CLOCK,
    (TRAINED,),
    (
        Field("published", "integer", "", "1 if it became the champion, else 0"),
        Field("ndcg_10", "float", "", "NDCG@10 of the blend"),
        Field("ndcg_10_low", "float", "", "lower end of its bootstrap interval"),
        Field("ndcg_10_high", "float", "", "upper end of its bootstrap interval"),
        Field("hr_10", "float", "", "hit rate at 10 of the blend"),
        Field("mrr_10", "float", "", "mean reciprocal rank at 10 of the blend"),
        Field("recall_10", "float", "", "recall at 10 of the blend"),
        Field("coverage_10", "float", "", "share of the catalogue in some list of ten"),
        Field("popular_ndcg_10", "float", "", "NDCG@10 of most popular"),
        Field("popular_hr_10", "float", "", "hit rate at 10 of most popular"),
        Field("popular_mrr_10", "float", "", "mean reciprocal rank at 10 of most popular"),
        Field("popular_recall_10", "float", "", "recall at 10 of most popular"),
        Field("silhouette", "float", "", "silhouette of the segments"),
        Field("stayed_share", "float", "", "share of users whom the bundle in use knew that are in the same segment"),
        Field("users", "integer", "users", "users trained on"),
        Field("products", "integer", "products", "products trained on"),
        Field("interactions", "integer", "pairs", "user-product pairs trained on"),
        Field("training_seconds", "float", "s", "the run, but for its report"),
    ),
)

SEGMENTS = Measurement(
    "segments",
    "One point per training and segment: its name, its size, and its users' means of the features they were "
    "clustered by.",
    CLOCK,
    (SEGMENT, TRAINED),
    (
        Field("name", "string", "", "the segment's name, which may change from training to training"),
        Field("users", "integer", "users", "users in the segment"),
        Field("revenue_share", "float", "", "share of all spending"),
        *(
            Field(name, "float", UNITS[name].name, str(declared.description))
            for name, declared in Means.model_fields.items()
        ),
    ),
)

MOVES = Measurement(
    "moves",
    "One point per training and pair of segments: users who were in the one by the bundle in use, and are in the other "
    "now.",
    CLOCK,
    (SEGMENT, Tag("was", "segment's id before"), TRAINED),
    (
        Field("users", "integer", "users", "users who moved, or stayed where both are the same"),
        Field("share", "float", "", "share of those who were in the segment before"),
        Field("name", "string", "", "the segment's name now"),
        Field("was_name", "string", "", "name of the segment before"),
    ),
)

BEHAVIOUR = Measurement(
    "behaviour",
    "One point per training: how far sessions go and what becomes of cart lines, in all of its log. What the log can't "
    "tell has no field.",
    CLOCK,
    (TRAINED,),
    (
        *(
            Field(f"sessions_{step}", "integer", "sessions", f"sessions that reach the step {step}, in order")
            for step in STEPS
        ),
        Field("to_cart", "float", "", "share of the sessions with a view that go on to a cart"),
        Field("to_purchase", "float", "", "share of the sessions at the step before that go on to a purchase"),
        Field("all_the_way", "float", "", "share of the sessions with the first step that reach the last"),
        *(Field(f"carts_{end}", "integer", "cart lines", f"cart lines {meaning}") for end, meaning in _ENDS.items()),
        Field("carts_left_share", "float", "", "share of the decided ones that were left behind"),
        Field("cart_value_left", "float", "shop currency", "price × quantity of those left behind"),
    ),
)

PROFILES = Measurement(
    "profiles",
    "Nine points per training, one for each behavioural profile: its users in all of the training's log, and the rule "
    "that they meet.",
    CLOCK,
    (Tag("profile", "name of the behaviour, one of nine"), TRAINED),
    (
        Field("users", "integer", "users", "users of that profile, 0 where there are none"),
        Field("share", "float", "", "share of all users"),
        Field("rule", "string", "", "the rule in words, with the thresholds of that training"),
    ),
)

RFM = Measurement(
    "rfm",
    "Ten points per training, one for each name of RFM: its customers and what they spent, in all of the training's "
    "log. None where nobody has spent money.",
    CLOCK,
    (Tag("rfm", "one of the ten usual names"), TRAINED),
    (
        Field("customers", "integer", "customers", "customers of that name, 0 where there are none"),
        Field("share", "float", "", "share of all customers who spent money"),
        Field("revenue", "float", "shop currency", "what they spent"),
        Field("revenue_share", "float", "", "share of what all spent"),
        Field("mean_recency_days", "float", "d", "mean of days from the last purchase to the end of the log"),
        Field("mean_purchases", "float", "purchases", "mean number of purchases"),
    ),
)

LIFECYCLE = Measurement(
    "lifecycle",
    "Eight points per training: what became of users in the last whole week of its log. None where no week before it "
    "is in the log.",
    CLOCK,
    (
        Tag("activity", "what counts as active: visits or purchases"),
        Tag("state", "new, returning, resurrected, dormant"),
        TRAINED,
    ),
    (
        Field("users", "integer", "users", "users of that state"),
        Field("week", "string", "", "the week's Monday"),
    ),
)

_FORECASTS = {
    "p_alive": ("", "mean probability that they are still customers"),
    "purchases_30": ("purchases", "what all of them are expected to buy in 30 days"),
    "purchases_90": ("purchases", "what all of them are expected to buy in 90 days"),
    "value_90": ("shop currency", "what all of them are expected to bring in 90 days"),
}

VALUE = Measurement(
    "value",
    "One point per training and segment with customers: what is expected of them. What is not identified has no field.",
    CLOCK,
    (SEGMENT, TRAINED),
    (
        Field("name", "string", "", "the segment's name, which may change from training to training"),
        Field("customers", "integer", "customers", "users of the segment who have bought"),
        *(
            Field(f"{name}{end}", "float", unit, meaning)
            for name, (unit, forecast) in _FORECASTS.items()
            for end, meaning in {"": forecast, "_low": "lower end of its 95 % interval", "_high": "upper end"}.items()
        ),
        Field("expected_spend", "float", "shop currency", "mean of what is expected of a purchase"),
    ),
)
