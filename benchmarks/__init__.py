"""Benchmarks: one command per question, headrace and its peers, each run in a process of its own.

`python -m benchmarks [question ...]`; see __main__.py for the arguments and README.md for what is measured and how.
"""
