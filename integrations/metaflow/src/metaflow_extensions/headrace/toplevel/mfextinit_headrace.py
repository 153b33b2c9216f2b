"""Tells Metaflow which module's names belong into its top level. Metaflow reads this file's name and this variable."""

toplevel = "headrace_toplevel"
