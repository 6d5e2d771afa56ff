"""The sum of a booster's trees for many rows at once, by what Lucchese et al. do for one: "QuickScorer: A Fast
Algorithm to Rank Documents with Additive Ensembles of Regression Trees" (SIGIR 2015).

A tree's leaves are bits, from left to right. Each of its nodes that sends a row to the right strikes out the leaves on
its left; the row's own is the first that is left. So a node is a comparison of a whole column, in place of a jump that
a processor guesses wrong half the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from app.serve.ragged import Ragged

if TYPE_CHECKING:
    from lightgbm import Booster

MOST_LEAVES = 16  #: of a tree: their bits are one integer
ZERO = np.float32(1e-35)  #: what is no further from 0 is 0 to LightGBM


@dataclass(frozen=True)
class Node:
    """Sends a row to the right if its value is above the `threshold`, and one that is missing if `missing_right`.

    `left`: bits of the leaves on its left.
    """

    feature: int
    threshold: np.float32
    missing_right: bool
    left: np.uint16


@dataclass(frozen=True)
class Tree:
    """Its nodes in any order, and the values of its leaves from left to right."""

    nodes: tuple[Node, ...]
    leaves: NDArray[np.float64]


@dataclass(frozen=True)
class Forest:
    """The trees, and which features (f,) have a 0 where nothing is known."""

    trees: tuple[Tree, ...]
    zero_if_missing: NDArray[np.bool_]

    @classmethod
    def of(cls, booster: "Booster") -> Self | None:
        """The trees of a booster; None where they are of a kind, or of a size, that this is not made for."""
        zeros = np.zeros(booster.num_feature(), np.bool_)
        trees = []
        for told in booster.dump_model()["tree_info"]:
            root = told["tree_structure"]
            if told["num_leaves"] > MOST_LEAVES or told["num_cat"] or not all(map(_is_plain, _splits(root))):
                return None
            zeros[[node["split_feature"] for node in _splits(root) if node["missing_type"] == "None"]] = True
            nodes: list[Node] = []
            leaves = np.array([*_leaves(root, nodes, 0)])
            trees.append(Tree(tuple(nodes), leaves))
        return cls(tuple(trees), zeros)

    def sums(self, known: NDArray[np.float32]) -> NDArray[np.float64]:
        """The sums (n,) of features (n, f), to the last bit those of LightGBM."""
        from app.serve import pool_loops

        return pool_loops.tree_sums(np.ascontiguousarray(known.T), *self._arrays, _FIRST_LEFT)

    @cached_property
    def _arrays(self) -> tuple[NDArray[Any], ...]:
        """The nodes of all trees, one after the other, and the leaves (t, `MOST_LEAVES`), as the loop reads them."""
        nodes = [node for tree in self.trees for node in tree.nodes]
        leaves = np.zeros((len(self.trees), MOST_LEAVES))
        for row, tree in zip(leaves, self.trees, strict=True):
            row[: len(tree.leaves)] = tree.leaves
        features = np.array([node.feature for node in nodes], np.int64)
        thresholds = np.array([node.threshold for node in nodes], np.float32)
        missing_right = np.array([node.missing_right for node in nodes], np.bool_)
        return (
            Ragged.of_lengths(np.array([len(tree.nodes) for tree in self.trees], np.int64)).offsets,
            features,
            thresholds,
            np.where(self.zero_if_missing[features], thresholds < 0, missing_right),
            np.array([node.left for node in nodes], np.uint16),
            leaves,
        )


def _splits(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The inner nodes of a tree."""
    if "split_feature" in node:
        yield node
        yield from _splits(node["left_child"])
        yield from _splits(node["right_child"])


def _is_plain(node: dict[str, Any]) -> bool:
    """Whether a node is a comparison that knows no missing values, or NaN as these."""
    return node["decision_type"] == "<=" and node["missing_type"] in ("None", "NaN")


def _leaves(node: dict[str, Any], nodes: list[Node], before: int) -> list[float]:
    """Values of the leaves below a node, of which `before` lie on their left; adds the nodes between."""
    if "split_feature" not in node:
        return [node["leaf_value"]]
    left = _leaves(node["left_child"], nodes, before)
    bits = np.uint16((1 << before + len(left)) - (1 << before))
    nodes.append(Node(node["split_feature"], _below(node["threshold"]), not node["default_left"], bits))
    return left + _leaves(node["right_child"], nodes, before + len(left))


def _below(value: float) -> np.float32:
    """The largest number of single precision that is no larger: what is above one is above the other."""
    single = np.float32(value)
    if -ZERO <= single < 0:  # as all that is 0 is above this
        return np.nextafter(-ZERO, np.float32(-np.inf))
    return single if float(single) <= value else np.nextafter(single, np.float32(-np.inf))


def _first_left() -> NDArray[np.int8]:
    """The lowest bit that is not set in each integer of 16 bits."""
    integers = np.arange(1 << MOST_LEAVES)
    return np.log2((integers + 1) & ~integers).astype(np.int8)


_FIRST_LEFT = _first_left()
