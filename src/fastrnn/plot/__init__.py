"""Pictures, where Matplotlib is installed.

Functions draw on the axes ``ax`` that they are given, on the current ones of pyplot by default, and
return them.
"""

from fastrnn.plot.axes import check_available
from fastrnn.plot.forecasts import forecast

__all__ = ["check_available", "forecast"]
