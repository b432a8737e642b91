"""The whole error tree.

::

    ImError                     code            exit  http  retryable
    ├── InputError              input           2     400   no     what the user gave is wrong; nothing was touched
    │   ├── TemplateError       template        2     400   no     carries every finding of the template
    │   └── UnknownName         unknown-name    2     404   no     no infrastructure, node or cloud of that name
    ├── Held                    held            1     409   yes    another process works on this infrastructure
    ├── ProviderError           provider        1     502   no     the cloud said no
    │   ├── NotPermitted        not-permitted   1     403   no     credentials or privileges are missing
    │   ├── NoCapacity          no-capacity     1     507   no     quota, hardware or disk do not suffice
    │   ├── AddressInUse        address-in-use  1     409   no     the address range is taken by somebody else
    │   └── ProviderUnavailable unavailable     1     503   yes    may work in a moment
    ├── SshError                ssh             1     502   yes    a node could not be reached, or its host key is wrong
    │   └── NotReachable        not-reachable   1     502   yes    a node does not let us in now; it may in a moment
    ├── ContextualizationError  contextualize   1     500   no     a task failed on a node; the node stays up
    ├── PreflightError          preflight       1     500   no     the cluster is up but does not work as one
    ├── JobError                job             125   500   no     we could not run the job
    └── StoreError              store           1     500   no     the database of this client cannot be used

Every message says what happened; ``where`` says on which template line, cloud, node or task; ``hint`` says what
to do next. Messages never contain secrets. ``exit_status`` is the process exit code of ``im_client``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class ImError(Exception):
    """Base of everything that we raise on purpose.

    ``message``: what happened, one sentence. ``where``: the place, for the reader. ``hint``: the next step.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """``where: message (hint)``, leaving out what is empty."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class InputError(ImError):
    """What the user gave cannot be used; nothing was touched."""

    code = "input"
    exit_status = 2
    http_status = 400


class TemplateError(InputError):
    """A template has findings; ``findings`` holds them all, each ready to print as one line."""

    code = "template"

    def __init__(self, findings: Sequence[object], *, hint: str = "") -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings), hint=hint)


class UnknownName(InputError):
    """There is no infrastructure, node, cloud or provider of that name."""

    code = "unknown-name"
    http_status = 404


class Held(ImError):
    """Another process is working on this infrastructure."""

    code = "held"
    http_status = 409
    retryable = True


class ProviderError(ImError):
    """The cloud could not do what was asked of it."""

    code = "provider"
    http_status = 502


class NotPermitted(ProviderError):
    """Credentials or privileges are missing."""

    code = "not-permitted"
    http_status = 403


class NoCapacity(ProviderError):
    """Quota, hardware or disk do not suffice."""

    code = "no-capacity"
    http_status = 507


class AddressInUse(ProviderError):
    """The address range is taken by somebody else."""

    code = "address-in-use"
    http_status = 409


class ProviderUnavailable(ProviderError):
    """The cloud does not answer now; it may in a moment."""

    code = "unavailable"
    http_status = 503
    retryable = True


class SshError(ImError):
    """A node could not be reached, or it showed a host key that is not the one we gave it."""

    code = "ssh"
    http_status = 502
    retryable = True


class NotReachable(SshError):
    """A node does not let us in now; it may in a moment. The message tells how far the connection came."""

    code = "not-reachable"


class ContextualizationError(ImError):
    """A task failed on a node; the node stays up and the same command continues."""

    code = "contextualize"


class PreflightError(ImError):
    """The nodes are up, but they do not work together as a cluster."""

    code = "preflight"


class JobError(ImError):
    """The job could not be started or watched; a program's own exit code is never turned into this."""

    code = "job"
    exit_status = 125


class StoreError(ImError):
    """The client's database cannot be read or written."""

    code = "store"
