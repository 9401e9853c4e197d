"""Every fastrnn benchmark runs on one thread unless it says otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fastrnn


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = fastrnn.get_num_threads()
    fastrnn.set_num_threads(1)
    yield
    fastrnn.set_num_threads(before)
