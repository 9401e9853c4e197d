"""threadpoolctl sees and limits fastrnn's threads."""

import subprocess
import sys
import time

import numpy as np
import pytest

import fastrnn
from fastrnn import _team

threadpoolctl = pytest.importorskip("threadpoolctl", minversion="3.2")


def seen() -> list[dict[str, object]]:
    return [one for one in threadpoolctl.threadpool_info() if one["user_api"] == "fastrnn"]


@pytest.fixture
def four_threads() -> object:
    fastrnn.set_num_threads(4)
    yield
    fastrnn.set_num_threads(None)


@pytest.mark.usefixtures("four_threads")
def test_a_limit_is_shown_and_ends() -> None:
    assert [one["num_threads"] for one in seen()] == [4]
    assert seen()[0]["version"] == fastrnn.__version__
    for limits in (1, {"fastrnn": 1}):
        with threadpoolctl.threadpool_limits(limits):
            assert [one["num_threads"] for one in seen()] == [1]
            assert fastrnn.get_num_threads() == 1
        assert fastrnn.get_num_threads() == 4
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert fastrnn.get_num_threads() == 4


@pytest.mark.unsanitized
@pytest.mark.usefixtures("four_threads")
def test_a_limit_holds_during_a_call() -> None:
    layer = fastrnn.RNN(64, 128, seed=0).eval()
    x = np.zeros((100, 64, 64), np.float32)
    layer(x)
    with threadpoolctl.threadpool_limits(1):
        before = _team.helped()
        for _ in range(20):
            layer(x)
        assert _team.helped() == before
    # A worker that finds no free processor for a while leaves its part to the caller.
    deadline = time.monotonic() + 60
    while _team.helped() == before and time.monotonic() < deadline:
        layer(x)
    assert _team.helped() > before


@pytest.mark.parametrize("order", ["fastrnn, threadpoolctl", "threadpoolctl, fastrnn"])
def test_the_order_of_imports_does_not_matter(order: str) -> None:
    script = (
        f"import {order}, sys, inspect\n"
        "apis = [one['user_api'] for one in threadpoolctl.threadpool_info()]\n"
        "assert apis.count('fastrnn') == 1, apis\n"
        "assert not any(type(f).__module__ == 'fastrnn._limits' for f in sys.meta_path)\n"
        "assert 'class LibController' in inspect.getsource(threadpoolctl)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_fastrnn_does_not_import_it() -> None:
    script = "import fastrnn, sys; assert 'threadpoolctl' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
