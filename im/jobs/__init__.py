"""Container images, MPI jobs and the preflight of a sub-cluster."""
