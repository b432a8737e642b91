"""How the tables came to be: alembic revisions, applied by :mod:`im.store.upgrade`."""
