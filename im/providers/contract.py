"""The test suite that every provider passes: subclass :class:`ProviderContract` in your tests and run pytest.

::

    class TestMyCloud(ProviderContract):
        @pytest.fixture
        def provider(self) -> Provider:
            return MyProvider(load_settings(), "mycloud")

Each test makes infrastructures with new random ids, and releases them at its end, whatever happens. A real cloud may
set ``patience`` (seconds that a server may take to change) and ``memory`` or ``cpus`` of its cheapest server. This
module needs pytest and is imported by tests only.
"""
# ruff: noqa: S101, D102 -- a test suite asserts, and its test names are sentences

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from im.events import Event
from im.plan.model import Catalog, Identity, Instance, NodeSpec
from im.providers.base import Capability, Environment, Provider
from im.topology.model import Volume

_STATUSES = {"building", "active", "stopped", "error", "deleting"}


class ProviderContract:
    """What every provider must keep, as tests. Override the fixture ``provider``; the rest has defaults."""

    cpus: ClassVar[int] = 1
    memory: ClassVar[int] = 256 << 20
    patience: ClassVar[float] = 60.0

    @pytest.fixture
    def provider(self) -> Provider:
        """Return the provider under test, usable on the machine that runs the tests."""
        raise NotImplementedError

    @pytest.fixture
    def image(self, provider: Provider) -> str:
        """Return the image that the test servers start from; default: the first of the catalog."""
        return provider.catalog().images[0].id

    @pytest.fixture
    def environments(self, provider: Provider, image: str) -> Iterator[Callable[[], Environment]]:
        """Give a maker of prepared infrastructures, all released at the end of the test."""
        made: list[Environment] = []

        def make() -> Environment:
            infrastructure = secrets.token_hex(4)
            environment = Environment(infrastructure, f"contract-{infrastructure}", images=(image,))
            made.append(environment)
            provider.prepare(environment, ignore)
            return environment

        yield make
        for environment in made:
            self.end(provider, environment.infrastructure)

    @pytest.fixture
    def environment(self, environments: Callable[[], Environment]) -> Environment:
        """Return one prepared infrastructure."""
        return environments()

    def identity(self) -> Identity | None:
        """Return who may log in; None where the provider under test does not look at it."""
        return make_identity()

    def spec(self, environment: Environment, image: str, index: int = 1, token: str = "") -> NodeSpec:
        """Return the spec of a smallest server of group ``worker``."""
        return NodeSpec(
            infrastructure=environment.infrastructure,
            group="worker",
            index=index,
            name=f"worker-{index}",
            token=token or secrets.token_hex(8),
            cpus=self.cpus,
            memory=self.memory,
            image=image,
            identity=self.identity(),
        )

    def settle(
        self, provider: Provider, infrastructure: str, wanted: Callable[[tuple[Instance, ...]], bool]
    ) -> tuple[Instance, ...]:
        """Poll the listing until it is as wanted; fail when patience ends."""
        pause, end = 0.01, time.monotonic() + self.patience
        while not wanted(found := provider.list(infrastructure)):
            assert time.monotonic() < end, f"not as wanted after {self.patience:g} s: {found}"
            time.sleep(pause)
            pause = min(pause * 2, 5.0)
        return found

    def end(self, provider: Provider, infrastructure: str) -> None:
        """Delete all servers, wait until they are gone, release until nothing is left."""
        provider.delete([one.id for one in provider.list(infrastructure)])
        self.settle(provider, infrastructure, lambda found: not found)
        pause, end = 0.01, time.monotonic() + self.patience
        while left := provider.release(infrastructure):
            assert time.monotonic() < end, f"still there after {self.patience:g} s: {left}"
            time.sleep(pause)
            pause = min(pause * 2, 5.0)

    # -- looking ------------------------------------------------------------------------------------------------

    def test_it_has_a_name_and_says_what_it_can_do(self, provider: Provider) -> None:
        assert provider.name
        assert all(isinstance(capability, Capability) for capability in provider.capabilities)

    def test_check_never_raises_and_every_failure_has_a_hint(self, provider: Provider) -> None:
        for check in provider.check():
            assert check.name
            assert check.status in {"ok", "warning", "failed"}
            assert check.hint or check.status == "ok", f"{check.name} {check.status} without a hint"

    def test_the_catalog_offers_images_and_sizes(self, provider: Provider) -> None:
        catalog: Catalog = provider.catalog()
        assert len({image.id for image in catalog.images}) == len(catalog.images) > 0
        assert len({flavor.id for flavor in catalog.flavors}) == len(catalog.flavors)
        assert catalog.flavors or catalog.any_size
        sizes = (*catalog.flavors, *([catalog.largest] if catalog.largest else []))
        assert all(size.cpus > 0 and size.memory >= 0 for size in sizes)

    def test_an_unknown_infrastructure_has_no_servers(self, provider: Provider) -> None:
        assert provider.list(secrets.token_hex(4)) == ()

    # -- creating -----------------------------------------------------------------------------------------------

    def test_preparing_twice_is_as_good_as_once(self, provider: Provider, environment: Environment) -> None:
        provider.prepare(environment, ignore)
        assert provider.list(environment.infrastructure) == ()

    def test_a_server_carries_its_mark_as_soon_as_create_returns(
        self, provider: Provider, environment: Environment, image: str
    ) -> None:
        specs = [self.spec(environment, image, index) for index in (1, 2)]
        created = provider.create(specs)
        listed = provider.list(environment.infrastructure)
        assert marks(created) == marks(listed) == {spec.token: mark(spec) for spec in specs}
        assert {one.id for one in created} == {one.id for one in listed}
        assert all(one.status in _STATUSES for one in (*created, *listed))

    def test_a_server_becomes_active_with_an_address_of_its_own(
        self, provider: Provider, environment: Environment, image: str
    ) -> None:
        provider.create([self.spec(environment, image, index) for index in (1, 2)])
        servers = self.settle(provider, environment.infrastructure, all_are("active"))
        assert len({one.private_address for one in servers} - {""}) == 2

    def test_a_repeated_create_yields_the_server_that_exists(
        self, provider: Provider, environment: Environment, image: str
    ) -> None:
        spec = self.spec(environment, image)
        first = provider.create([spec])
        again = provider.create([spec])
        assert [one.id for one in first] == [one.id for one in again]
        assert len(provider.list(environment.infrastructure)) == 1

    def test_a_create_repeated_with_more_adds_only_what_is_missing(
        self, provider: Provider, environment: Environment, image: str
    ) -> None:
        specs = [self.spec(environment, image, index) for index in (1, 2, 3)]
        provider.create(specs[:1])
        created = provider.create(specs)
        assert [one.token for one in created] == [spec.token for spec in specs]
        assert len(provider.list(environment.infrastructure)) == 3

    def test_creating_nothing_creates_nothing(self, provider: Provider, environment: Environment) -> None:
        assert provider.create([]) == ()
        assert provider.list(environment.infrastructure) == ()

    def test_infrastructures_do_not_see_each_other(
        self, provider: Provider, environments: Callable[[], Environment], image: str
    ) -> None:
        one, other = environments(), environments()
        provider.create([self.spec(one, image)])
        provider.create([self.spec(other, image)])
        tokens = {instance.token for instance in provider.list()}
        for environment in (one, other):
            (server,) = provider.list(environment.infrastructure)
            assert server.infrastructure == environment.infrastructure
            assert server.token in tokens

    def test_infrastructures_lists_what_has_something_left(
        self, provider: Provider, environment: Environment, image: str
    ) -> None:
        provider.create([self.spec(environment, image)])
        assert environment.infrastructure in provider.infrastructures()
        self.end(provider, environment.infrastructure)
        assert environment.infrastructure not in provider.infrastructures()

    def test_a_lifetime_is_carried_by_the_cloud_and_may_be_changed(
        self, provider: Provider, environment: Environment
    ) -> None:
        need(provider, Capability.LIFETIMES)
        infrastructure = environment.infrastructure
        assert provider.infrastructures()[infrastructure] is None
        for end in (datetime(2100, 1, 1, tzinfo=UTC), datetime(2100, 1, 3, tzinfo=UTC)):
            provider.prepare(replace(environment, expires=end), ignore)
            assert provider.infrastructures()[infrastructure] == end
        self.end(provider, infrastructure)
        assert infrastructure not in provider.infrastructures()

    def test_volumes_are_attached_once_the_server_is_active(
        self, provider: Provider, environment: Environment, image: str
    ) -> None:
        need(provider, Capability.VOLUMES)
        spec = replace(self.spec(environment, image), volumes=(Volume("data", 1 << 30, "/data"),))
        provider.create([spec])
        self.settle(provider, environment.infrastructure, all_are("active"))
        pause, end = 0.01, time.monotonic() + self.patience
        while not provider.attach([spec]):
            assert time.monotonic() < end, f"not attached after {self.patience:g} s"
            time.sleep(pause)
            pause = min(pause * 2, 5.0)
        (server,) = provider.list(environment.infrastructure)
        assert [volume.name for volume in server.volumes] == ["data"]
        assert server.volumes[0].device.startswith("/dev/")
        assert provider.attach([spec])
        assert provider.list(environment.infrastructure)[0].volumes == server.volumes

    # -- stopping, starting, looking inside ---------------------------------------------------------------------

    def test_a_stopped_server_starts_again_as_it_was(
        self, provider: Provider, environment: Environment, image: str
    ) -> None:
        need(provider, Capability.STOP_START)
        provider.create([self.spec(environment, image)])
        (before,) = self.settle(provider, environment.infrastructure, all_are("active"))
        provider.stop([before.id])
        provider.stop([before.id])
        self.settle(provider, environment.infrastructure, all_are("stopped"))
        provider.start([before.id])
        provider.start([before.id])
        (after,) = self.settle(provider, environment.infrastructure, all_are("active"))
        assert (after.id, after.token, after.private_address) == (before.id, before.token, before.private_address)

    def test_the_console_is_text(self, provider: Provider, environment: Environment, image: str) -> None:
        need(provider, Capability.CONSOLE)
        (server,) = provider.create([self.spec(environment, image)])
        assert isinstance(provider.console(server.id), str)

    # -- deleting -----------------------------------------------------------------------------------------------

    def test_delete_ends_only_the_servers_it_names(
        self, provider: Provider, environment: Environment, image: str
    ) -> None:
        one, other = provider.create([self.spec(environment, image, index) for index in (1, 2)])
        provider.delete([one.id])
        left = self.settle(provider, environment.infrastructure, lambda found: len(found) == 1)
        assert left[0].id == other.id

    def test_deleting_twice_or_what_never_was_is_quiet(
        self, provider: Provider, environment: Environment, image: str
    ) -> None:
        (server,) = provider.create([self.spec(environment, image)])
        provider.delete([server.id])
        provider.delete([server.id])
        self.settle(provider, environment.infrastructure, lambda found: not found)
        provider.delete([server.id])
        provider.delete([])

    def test_releasing_twice_or_what_never_was_is_quiet(self, provider: Provider, environment: Environment) -> None:
        self.end(provider, environment.infrastructure)
        assert provider.release(environment.infrastructure) == ()
        assert provider.release(secrets.token_hex(4)) == ()

    def test_a_released_infrastructure_can_be_made_again(
        self, provider: Provider, environment: Environment, image: str
    ) -> None:
        provider.create([self.spec(environment, image)])
        self.end(provider, environment.infrastructure)
        provider.prepare(environment, ignore)
        provider.create([self.spec(environment, image)])
        assert len(provider.list(environment.infrastructure)) == 1


def ignore(event: Event) -> None:
    """Take an event and drop it."""


def need(provider: Provider, capability: Capability) -> None:
    """Skip the test where the provider does not claim the capability."""
    if capability not in provider.capabilities:
        pytest.skip(f"{provider.name} has no capability {capability}")


def all_are(status: str) -> Callable[[tuple[Instance, ...]], bool]:
    """Return the condition that there are servers and all have this status."""
    return lambda found: bool(found) and all(one.status == status for one in found)


def mark(spec: NodeSpec | Instance) -> tuple[str, str, int, str]:
    """Return what a server must carry besides its token."""
    return spec.infrastructure, spec.group, spec.index, spec.name


def marks(instances: tuple[Instance, ...]) -> Mapping[str, tuple[str, str, int, str]]:
    """Return the marks of servers by token."""
    return {one.token: mark(one) for one in instances}


def make_identity(user: str = "root", *authorized_keys: str) -> Identity:
    """Return an identity with a new host key."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return Identity(user, authorized_keys, private.decode(), public.decode())
