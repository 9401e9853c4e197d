"""A grid of recurrent workloads, fastrnn beside other libraries and beside the machine's limit.

::

    __main__    the command line; pins threads before anything is imported
    run         one row after the other: prepare, check, time, report
    rows        what is measured
    problem     weights, inputs and the right answer of a row, shared by all
    peers       the contenders: one module per library
    timing      interleaved minimum of repeats
    machine     who measured: CPU, caches, versions, commit
    probe       the machine's peak arithmetic and cache bandwidth, from probe.c
    limit       an estimate of the time below which a row cannot fall on such a machine
    report      the table and the JSON
"""

from __future__ import annotations

PEERS = ("numpy", "torch", "jax", "onnxruntime")
