"""The names and meanings of Fast Data."""
