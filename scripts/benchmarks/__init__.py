"""The benchmarks, a file for each command of ``scripts/benchmark.py``, and what they share."""
