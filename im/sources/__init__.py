"""Reads templates and what they import: all the I/O of parsing."""
