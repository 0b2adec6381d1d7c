"""Benchmarks: what the machine can do, what we make of it. `make bench`; README.md, section Performance."""
