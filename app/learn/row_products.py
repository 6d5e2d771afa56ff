"""Products of sparse matrices, of which only the largest values of each row are kept."""

import os
from unittest.mock import patch

import psutil
from scipy.sparse import csr_matrix

from app.serve.sparse import canonical_rows

# When it is imported it asks for the number of cores, and fails where nobody knows, as in some containers.
with patch.object(psutil, "cpu_count", lambda logical=True: os.cpu_count() or 1):
    from sparse_dot_topn import sp_matmul_topn


def strongest_of_product(left: csr_matrix, right: csr_matrix, n: int) -> csr_matrix:
    """left · right, each row cut to its n largest values above 0.

    A row is cut as soon as it is worked out, so that the product, which may be dense, is never whole. Which of equal
    values stay depends on nothing but the two matrices.

    Parameters
    ----------
    left, right
        (m, q) and (q, p), float32, in arrays that could be written to, which the library asks for.
    """
    return canonical_rows(sp_matmul_topn(left, right, n, threshold=0.0))
