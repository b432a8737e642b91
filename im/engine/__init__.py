"""Observe, decide, act: brings the cloud to what the topology says."""
