"""A real OpenStack on one Debian 12 machine, for tests: Debian's own packages, without systemd, closed to outside.

``stack up`` starts keystone, glance, placement, nova, neutron, cinder and (with ooi) OCCI in namespaces of their own
and writes a ``clouds.yaml``; ``stack down`` ends them and leaves nothing but the cache. Nova has two computes: zone
``fake`` answers like a cloud but runs nothing, zone ``real`` runs virtual machines in qemu, by emulation. The image
says which: ``tiny-fake`` or ``debian-12``.

Everything is in one folder: ``IM_STACK_DIR``, else ``im-stack`` below the user's cache. What takes long to make (the
guest image, the databases of a cloud that is set up) is kept in ``IM_TEST_CACHE``, else in that folder. Two clouds can
run beside each other if ``IM_STACK_NAME`` and ``IM_STACK_SUBNET`` (three octets) differ too.
"""
