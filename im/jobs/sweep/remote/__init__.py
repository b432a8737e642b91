"""Programs of a scan on the front-end and the nodes: standard library only, for Python 3.8 and later."""
