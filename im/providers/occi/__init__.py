"""Any site that speaks OCCI: OpenStack behind ooi, OpenNebula behind rOCCI-server, and others by the standard.

``model`` has the values, ``text`` and ``occi_json`` read and write them, ``dialects`` says where servers differ,
``auth`` and ``transport`` carry requests, ``client`` speaks the protocol; ``provider`` puts them together behind
:class:`im.providers.base.Provider`.
"""

from im.providers.occi.provider import OcciProvider

__all__ = ["OcciProvider"]
