"""Containers under the batch system, from the client: the words of ``im-batch``, which is on the front-end."""
