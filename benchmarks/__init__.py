"""Benchmarks: `benchmarks.grid` beside other libraries, `test_bench_*.py` for fastrnn alone."""
