"""Fixtures that several files of tests share."""

from browser import address, chromium, open_view, usual_reader

__all__ = ["address", "chromium", "open_view", "usual_reader"]
