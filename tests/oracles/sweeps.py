"""What tests sweep over."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest

from fastrnn import _threads

# Below, at and above the vector widths (4, 8, 16) and the small multiples of them that a kernel
# may unroll to.
SIZES = (1, 2, 3, 5, 7, 15, 16, 17, 31, 33, 63, 65, 97)
DTYPES = (np.float32, np.float64)

floats_and_ids = pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])

# Without it, problems as small as those of the tests stay on one thread.
split_small_problems = patch.multiple(_threads, MINIMUM_SHARE=1, MINIMUM_TURN=1)
