"""The version of this distribution, and which headrace it was made for. A code package has no metadata to ask."""

__version__ = "0.1.0"
NEEDS = (0, 1)
"""headrace's major and minor version."""
