"""The one filter on lineitem: ten days' shipments, 0.4 % of the rows, in every file. Standard library only."""

from __future__ import annotations

import datetime

COLUMN = "l_shipdate"
FIRST, BEFORE = datetime.date(1995, 3, 1), datetime.date(1995, 3, 11)
TEXT = f"{COLUMN} >= '{FIRST}' and {COLUMN} < '{BEFORE}'"
SQL = f"{COLUMN} >= date '{FIRST}' and {COLUMN} < date '{BEFORE}'"
