"""What alembic runs; the connection comes from :func:`im.store.upgrade.upgrade`."""

from alembic import context

from im.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
