"""Learning the ranker: LambdaMART, from proposals to queries whose answers are known.

Burges, "From RankNet to LambdaRank to LambdaMART: An Overview" (2010), by LightGBM.
"""

import ctypes
import sys

import numpy as np
import pyarrow as pa

from app.core.errors import InputError
from app.serve.catalogue import Catalogue
from app.serve.ragged import first_of_each
from app.serve.rankers import LambdaMART, ReciprocalRank
from app.serve.rankers.features import Attributes, feature_names

#: One row per proposal.
EXAMPLE_SCHEMA = pa.schema(
    [
        ("query", pa.int64()),
        ("asked_at", pa.int64()),  # seconds since 1970
        ("product_id", pa.int64()),
        ("grade", pa.int8()),  # place in `GAINS`: how much it is worth to have it at the top
        ("features", pa.list_(pa.float32())),  # `app.serve.rankers.features`
    ]
)
#: What a product is worth that nobody wanted, that was viewed, put into the cart, bought.
GAINS = (0, 1, 2, 4)
FEW = 100_000  #: examples that one thread learns from in two seconds or three
TREES = 50  #: 100 at half the rate order no better, and take twice as long to answer
OPENMP = "libgomp.so.1"
PARAMETERS = {
    "objective": "lambdarank",
    "label_gain": list(GAINS),
    "lambdarank_truncation_level": 20,
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.6,
    "extra_trees": True,  # a threshold by chance for each feature: less is learned by heart from few queries
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def check_library() -> None:
    """Whether LightGBM can be loaded, told before hours of training.

    Raises
    ------
    InputError
        The OpenMP library is missing, which its wheels for Linux do not bring.
    """
    if sys.platform == "linux":
        try:
            ctypes.CDLL(OPENMP)
        except OSError:
            raise InputError(
                f"LightGBM needs {OPENMP}, which is missing; type: sudo apt-get install libgomp1, "
                "or learn no ranker: --ranker reciprocal_rank"
            ) from None


def fit_lambdamart(
    examples: pa.Table,
    first: ReciprocalRank,
    generators: tuple[str, ...],
    catalogue: Catalogue,
    seed: int,
    threads: int = 1,
) -> LambdaMART:
    """Learn the trees.

    Parameters
    ----------
    examples
        `EXAMPLE_SCHEMA`, those of a query in a row.
    first
        Whose best places are ordered anew.
    generators
        Names of those that proposed, in the pool's order.
    catalogue
        Of the recommender that the ranker is for.
    seed
        Of the features and thresholds that each tree may choose from.
    threads
        That learn where the examples are many. The trees, and their text, are the same by any number.
    """
    import lightgbm

    names = feature_names(generators)
    known = examples["features"].combine_chunks().flatten().to_numpy().reshape(-1, len(names))
    starts = first_of_each(examples["query"].to_numpy())
    data = lightgbm.Dataset(
        known,
        examples["grade"].to_numpy(),
        group=np.diff(np.append(starts, len(examples))),
        feature_name=names,
        free_raw_data=True,
    )
    used = threads if len(examples) > FEW else 1
    booster = lightgbm.train(PARAMETERS | {"seed": seed, "num_threads": used}, data, num_boost_round=TREES)
    told = booster.model_to_string().replace(f"[num_threads: {used}]", "[num_threads: 1]")  # the same on any machine
    return LambdaMART(first, generators, told, Attributes.of(catalogue))
