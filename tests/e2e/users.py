"""What users are shown, by the API, the stream and a training."""

import json
from typing import Any

from tests.e2e.api import ask, hosts
from tests.e2e.cluster import Cluster


def shown(shop: Cluster, user: int) -> list[str]:
    """The list of a user."""
    return products(ask(shop, "GET", f"/v1/users/{user}/recommendations").body)


def products(answer: dict[str, Any]) -> list[str]:
    return [one["product_id"] for one in answer["products"]]


def done(receipt: dict[str, Any]) -> set[str]:
    """Places that a receipt says are done."""
    return {one["place"] for one in receipt["places"] if one["done"]}


def merge(shop: Cluster, user: int, into: int, host: str = "vitrine-api") -> dict[str, Any]:
    """Make one user another; the receipt."""
    answer = ask(shop, "POST", "/v1/users/merge", {"from_user_id": user, "into_user_id": into}, host=host)
    assert answer.status == 200, answer.text
    receipt: dict[str, Any] = answer.body
    return receipt


def told_alike(shop: Cluster, user: int, survivor: int) -> list[str]:
    """The list that each replica has for two who are one, whichever id is asked for."""
    replicas, path = hosts(shop), "/v1/users/{}/recommendations"
    assert len(replicas) >= 2
    answers = [ask(shop, "GET", path.format(one), host=host).body for host in replicas for one in (user, survivor)]
    assert {answer["user_id"] for answer in answers} == {str(survivor)}
    one, *others = map(products, answers)
    assert others == [one] * len(others)
    return one


def listed_by_training(shop: Cluster) -> dict[int, int]:
    """Users whom the last training has made lists for, and of how many of their products these are."""
    counted = shop.python("""
import pandas as pd
lists = pd.read_csv("/data/vitrine/merged_recommendations.csv")
print(lists.groupby("user_id").because_product_id.nunique().to_json())
""")
    return {int(user): products for user, products in json.loads(counted).items()}


def user_of_the_past(shop: Cluster, dice: int) -> int:
    """One whose history the bundle knows, of whom nothing more is played."""
    file = "/data/events/replay.synthetic.csv"
    played = json.loads(shop.python(f"import pandas as pd\nprint(pd.read_csv({file!r}).user_id.unique().tolist())"))
    gone = [user for user, products in listed_by_training(shop).items() if products >= 3 and user not in played]
    return gone[dice % len(gone)]


def in_use(shop: Cluster) -> str:
    """The version of the bundle in use."""
    return shop.python("print(open('/data/vitrine/models/CURRENT').read().split()[0])").strip()


def lists_of(shop: Cluster, user: int) -> int:
    """Rows of the stream's list files that are a user's."""
    return int(
        shop.python(
            "import sys, pyarrow.dataset as ds\n"
            "lists = ds.dataset('/data/vitrine/stream/lists', format='parquet')\n"
            "print(lists.count_rows(filter=ds.field('user_id') == int(sys.argv[1])))",
            str(user),
        )
    )
