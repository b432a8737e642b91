"""What this client knows, in SQLite."""
