"""The names by which figures are filed: tasks, models, slices and metrics."""

SESSION, USER = "session", "user"  #: tasks
#: Models beside the candidate generators, which bear their own names: the list as served, the baseline that
#: shows everyone the same bestsellers, and the list of the bundle in use.
BLEND, MOST_POPULAR, CHAMPION = "blend", "most_popular", "champion"
#: The list as each ranker orders it, where one was learned; "blend" is one of the two then.
RECIPROCAL_RANK, LAMBDAMART = "reciprocal_rank", "lambdamart"
RANKER_LABELS = {RECIPROCAL_RANK: "reciprocal rank", LAMBDAMART: "LambdaMART"}
#: Models that are no generators.
NO_GENERATORS = (BLEND, MOST_POPULAR, CHAMPION, RECIPROCAL_RANK, LAMBDAMART)
ALL, WARM, COLD = "all", "warm", "cold"  #: slices of queries; a user seen before the cut is warm
SEGMENT = "segment:"  #: before a segment's name, the slice of its users
TARGET = "target:"  #: before a target's name, the queries that have one, asked for it alone
UNSEEN = "unseen"  #: before any of these, the queries that neither candidate nor champion has seen

CUTOFFS = (10, 20)
KINDS = {"hr": "HR", "ndcg": "NDCG", "mrr": "MRR", "recall": "Recall"}
METRICS = tuple(f"{kind}_{k}" for k in CUTOFFS for kind in KINDS)
HR_10, NDCG_10, MRR_10, RECALL_10, HR_20, NDCG_20, MRR_20, RECALL_20 = METRICS
#: How people write them: "NDCG@10".
METRIC_LABELS = {f"{kind}_{k}": f"{label}@{k}" for k in CUTOFFS for kind, label in KINDS.items()}
