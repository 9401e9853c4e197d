"""The command ``fastrnn bench``: fastrnn beside other libraries and beside the machine's limit.

::

    launch      the same threads for everyone, before anything else is imported
    run         one row after the other: prepare, check, time, report
    rows        what is measured
    problem     weights and inputs of a row, shared by all; answer: what must come out
    peers       the contenders: one module per library
    timing      interleaved minimum of repeats
    machine     who measured: CPU, caches, versions, commit
    probe       the machine's peak arithmetic and cache bandwidth; _probe.pyx calls the kernels
    limit       an estimate of the time below which a row cannot fall on such a machine
    report      the table and the JSON; plot/benchmarks.py draws the same

Nothing but the command imports any of it.
"""

from __future__ import annotations

PEERS = ("numpy", "torch", "jax", "onnxruntime", "openvino")
