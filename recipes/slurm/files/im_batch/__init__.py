"""Container batch on Slurm: installed on every node, standard library only, for Python 3.9 and later.

Users call ``im-batch``; Slurm calls ``prolog``, ``epilog`` and ``collect``. Nothing listens anywhere, and nothing
of it runs as root but the two hooks, which read no file that a user can put in another's place.
"""
