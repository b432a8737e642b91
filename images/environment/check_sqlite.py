"""``check_sqlite.py N``: fails unless SQLite takes N variables in one statement."""

import sqlite3
import sys

count = int(sys.argv[1])
marks = ",".join("?" * count)
found = sqlite3.connect(":memory:").execute(f"SELECT {count} IN ({marks})", range(1, count + 1)).fetchone()[0]
sys.exit(0 if found == 1 else f"SQLite finds {found}, not 1")
