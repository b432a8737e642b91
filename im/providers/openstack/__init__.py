"""Sub-clusters on an OpenStack cloud (docs/provider-openstack.md)."""

from im.providers.openstack.provider import OpenStackProvider

__all__ = ["OpenStackProvider"]
