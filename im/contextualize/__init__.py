"""Turns running nodes into a cluster: inventory, bundle, and Ansible run on the front-end."""
