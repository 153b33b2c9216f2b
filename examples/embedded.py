"""No server and nothing configured: the embedded catalog (SQLite) and warehouse folder under HEADRACE_HOME.

`make demo` runs this on a table that PyIceberg wrote there; either library opens what the other wrote.
"""

import headrace
from headrace import Table


def main() -> None:
    catalog = headrace.load_catalog()
    print(f"{catalog!r}: {catalog.list_tables('demo')}")
    print(Table("demo.nation").load())


if __name__ == "__main__":
    main()
