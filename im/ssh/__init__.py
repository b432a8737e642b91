"""Keys, verified connections, transfer and interactive login."""
