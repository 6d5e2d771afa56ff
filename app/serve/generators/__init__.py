"""Candidate generators, as they serve; `app.learn` makes them."""

from app.serve.contract import Generator
from app.serve.generators.als import ImplicitALS
from app.serve.generators.content import Content
from app.serve.generators.covisitation import CoVisitation
from app.serve.generators.item_graph import ItemGraph
from app.serve.generators.popularity import Popularity
from app.serve.generators.session_walk import SessionWalk

#: Every generator that a bundle may hold, in the order in which sources are numbered.
GENERATORS: tuple[type[Generator], ...] = (ImplicitALS, CoVisitation, Popularity, SessionWalk, ItemGraph, Content)
