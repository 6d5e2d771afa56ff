"""Recommenders: candidate generators behind one contract, and the blend that merges them."""

from app.recommend.als import ImplicitALS
from app.recommend.contract import Generator
from app.recommend.covisitation import CoVisitation
from app.recommend.popularity import Popularity

#: Every generator of a bundle, in the order in which sources are numbered.
GENERATORS: tuple[type[Generator], ...] = (ImplicitALS, CoVisitation, Popularity)
