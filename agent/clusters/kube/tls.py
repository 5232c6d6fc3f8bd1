"""TLS whose keys never lie in a file."""

import os
import ssl

from agent.clusters.kube.kubeconfig import Kubeconfig
from core.errors import Refused


def context_of(config: Kubeconfig) -> ssl.SSLContext:
    """Return what verifies the API server by its own authority, and shows it our certificate, if we have one.

    Raises Refused where a key can only be read from a file.
    """
    context = ssl.create_default_context(cadata=config.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.key:
        _load(context, config)
    return context


def _load(context: ssl.SSLContext, config: Kubeconfig) -> None:
    """Load certificate and key, which OpenSSL reads by a path only: one that leads to memory."""
    if not hasattr(os, "memfd_create"):
        raise Refused("kubeconfig.needs_linux")
    handle = os.memfd_create("it0", os.MFD_CLOEXEC)
    try:
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(f"{config.certificate}\n{config.key}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    except ssl.SSLError:
        raise Refused("kubeconfig.bad_data", field="client-key-data") from None
    finally:
        os.close(handle)
