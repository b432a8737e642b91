"""TOSCA texts in, a :class:`~im.topology.model.Topology` out. No I/O in this package."""
