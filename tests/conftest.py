"""Fixtures that several files of tests share."""

from browser import address, chromium, open_view, usual_reader
from pictures import pyplot

__all__ = ["address", "chromium", "open_view", "pyplot", "usual_reader"]
