"""Benchmarks of fastrnn alone; `fastrnn bench` sets it beside other libraries."""
