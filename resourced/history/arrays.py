"""Types of columns, for type checkers only: numpy takes 15 MB and is imported where it is first used."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    """Values of one series, shape (ticks,) or (cells,), NaN for gaps."""
    Matrix = NDArray[np.float64]
    """Values of several series, shape (series, ticks)."""
    Whole = NDArray[np.int64]
    """Whole numbers or positions, shape (n,)."""
    Chosen = NDArray[np.bool_]
    """Which of some ticks or cells are meant, shape (n,)."""
