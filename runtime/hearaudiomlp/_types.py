"""Types that many modules share."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
"""An array of float32."""
