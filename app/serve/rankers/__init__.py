"""What orders the candidates of all generators."""

from app.serve.rankers.contract import Ranker
from app.serve.rankers.lambdamart import LambdaMART
from app.serve.rankers.reciprocal_rank import ReciprocalRank

#: Every ranker that a bundle may hold.
RANKERS: tuple[type[Ranker], ...] = (ReciprocalRank, LambdaMART)
