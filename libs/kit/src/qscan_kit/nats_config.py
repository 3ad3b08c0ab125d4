"""The configuration of nats-server: who may say what, and that what is acknowledged is on disk.

Pure text from arguments, so that `qscan up`, the tests and the files of compose and Helm cannot differ.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qscan_contracts.rights import RIGHTS, Rights
from qscan_contracts.subjects import Service

MAX_PAYLOAD_BYTES = 1024 * 1024
"""Above the largest request (512 KiB of content and what is around it), and NATS's own default."""
MAX_FILE_STORE_BYTES = 10 * 1024**3
MAX_MEMORY_STORE_BYTES = 64 * 1024**2
"""Nothing of ours is kept in memory but the state of short-lived readers."""
AUTH_TIMEOUT_S = 5
"""NATS's default of 2 s is short on a machine that is busy scanning."""


@dataclass(frozen=True)
class FromEnvironment:
    """A password that nats-server itself takes from its environment, so that the file holds no secret.

    The variable's value is read as a piece of configuration: a password from `new_password` is safe there, others
    may need quotes of their own.
    """

    variable: str


@dataclass(frozen=True)
class Peers:
    """The other servers of a cluster: `name` of this server, of the cluster, where to listen, and whom to call."""

    server_name: str
    cluster_name: str
    listen: str
    routes: tuple[str, ...]


def new_password() -> str:
    """A random password (256 bits) that needs no quoting anywhere; it begins with a letter for `FromEnvironment`."""
    return f"q{secrets.token_hex(32)}"


def render(
    passwords: Mapping[Service, str | FromEnvironment],
    *,
    store_dir: Path,
    host: str = "127.0.0.1",
    port: int = 4222,
    http_port: int | None = None,
    max_file_store_bytes: int = MAX_FILE_STORE_BYTES,
    peers: Peers | None = None,
) -> str:
    """The text of a nats-server configuration file (keep it at mode 0600: it may hold the passwords).

    Args:
        passwords: one for every `Service`.
        store_dir: where JetStream keeps its files; on a real disk.
        host: the address to listen on, for clients and monitoring.
        port: for clients; -1 lets the server choose (it writes its choice where ``--ports_file_dir`` says).
        http_port: monitoring (``/healthz``, ``/jsz``); None leaves it off.
        max_file_store_bytes: bound of all streams together; more than the sum of their own limits.
        peers: for a cluster.

    Raises:
        ValueError: a service has no password.
    """
    missing = sorted(set(RIGHTS) - set(passwords))
    if missing:
        raise ValueError(f"no NATS password for {', '.join(missing)}: give every service one")
    lines = [
        "# Written by qscan from qscan_contracts.rights; changes are overwritten.",
        f"host: {_text(host)}",
        f"port: {port}",
        f"max_payload: {MAX_PAYLOAD_BYTES}",
        *([] if http_port is None else [f"http: {_text(f'{_bracketed(host)}:{http_port}')}"]),
        "jetstream {",
        f"  store_dir: {_text(str(store_dir))}",
        f"  max_file_store: {max_file_store_bytes}",
        f"  max_memory_store: {MAX_MEMORY_STORE_BYTES}",
        "  # An acknowledged write survives the loss of power (DESIGN §6).",
        "  sync_interval: always",
        "}",
        *([] if peers is None else _cluster(peers)),
        "authorization {",
        f"  timeout: {AUTH_TIMEOUT_S}",
        "  users: [",
        *(line for service in RIGHTS for line in _user(service, passwords[service], RIGHTS[service])),
        "  ]",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _user(service: Service, password: str | FromEnvironment, rights: Rights) -> list[str]:
    secret = f"${password.variable}" if isinstance(password, FromEnvironment) else _text(password)
    return [
        "    {",
        f"      user: {_text(service)}",
        f"      password: {secret}",
        "      permissions: {",
        f"        publish: {{ allow: {_list(rights.publish)} }}",
        f"        subscribe: {{ allow: {_list(rights.subscribe)} }}",
        "      }",
        "    }",
    ]


def _cluster(peers: Peers) -> list[str]:
    return [
        f"server_name: {_text(peers.server_name)}",
        "cluster {",
        f"  name: {_text(peers.cluster_name)}",
        f"  listen: {_text(peers.listen)}",
        f"  routes: {_list(peers.routes)}",
        "}",
    ]


def _text(value: str) -> str:
    """Quoted as nats-server reads it; its escapes for what may stand in a path or password are those of JSON."""
    return json.dumps(value, ensure_ascii=False)


def _list(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(_text(value) for value in values) + "]"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
