"""Starters of real servers for tests, benchmarks and the demo. They know nothing of headrace."""
