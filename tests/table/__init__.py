"""Tables from end to end: written by PyIceberg and DuckDB, read by headrace, compared with both."""
