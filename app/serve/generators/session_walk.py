"""Session walk: where random walks from the products of a session lead.

S-Walk (Choi, Kim, Lee, Shim, Lee, "S-Walk: Accurate and Scalable Session-based Recommendation with Random Walks",
WSDM 2022) on the linear models of SLIST (Choi et al., "Session-aware Linear Item-Item Models for Session-based
Recommendation", WWW 2021).
"""

from typing import ClassVar

from app.serve.row_sums import RowSums


class SessionWalk(RowSums):
    """The row of a product is where walks from it end."""

    name: ClassVar[str] = "session_walk"
