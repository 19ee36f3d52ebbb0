from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from nova_aggregates.xenapi.types import Endpoint, Trust
from tests.functional.xenapi.xen_peer import PASSWORD, Certificate, Peer, Script, make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificates"), "host1")


@pytest.fixture(scope="session")
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificates"), "host2", "127.0.0.9")


@pytest.fixture
def serve(certificate: Certificate) -> Iterator[Callable[..., Peer]]:
    """Starts a peer with a script."""
    with ExitStack() as stack:

        def start(script: Script, **options: object) -> Peer:
            options.setdefault("certificate", certificate)
            return stack.enter_context(Peer(script, **options))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def endpoint(certificate: Certificate) -> Callable[..., Endpoint]:
    def build(peer: Peer, trust: Trust | None = None) -> Endpoint:
        trust = trust or Trust(fingerprint=certificate.fingerprint)
        return Endpoint(peer.address, peer.port, "root", PASSWORD, trust)

    return build


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path
