"""Topology and what the cloud has in, a :class:`~im.plan.model.Plan` out. No I/O in this package."""
