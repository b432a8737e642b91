"""Private sub-clusters on demand: TOSCA in, a contextualized cluster that runs containerised MPI jobs out."""

__version__ = "0.1.0"
