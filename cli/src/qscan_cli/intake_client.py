"""Asking a running qscan over its intake API, without effects."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Self

import httpx
import msgspec

from qscan_cli.places import DEFAULT_URL, DataDirectory, default_data_directory
from qscan_cli.running import RunningSystem
from qscan_contracts.intake import RAW_CONTENT_TYPE, Problem, ScanAnswer

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 255.0
"""Above the 240 s within which a message is answered."""


class NotAskedError(Exception):
    """There was no answer. The text says why and what to do; `body` is the problem document if there was one."""

    def __init__(self, text: str, body: bytes = b"") -> None:
        """Keep `body` beside the text."""
        super().__init__(text)
        self.body = body


def find_url(named: str | None, data: Path | None = None) -> str:
    """Which qscan to ask: the one named, $QSCAN_URL, the one on the data directory, or the usual address."""
    if named or (named := os.environ.get("QSCAN_URL")):
        return named.rstrip("/")
    system = RunningSystem.read(DataDirectory(data or default_data_directory()).services_file)
    return system.http if system is not None else DEFAULT_URL


class IntakeClient:
    """One connection to the intake API; a context manager."""

    def __init__(self, url: str, *, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Connect to `url` when it is first asked."""
        self._url = url
        # Nothing of the environment: a proxy for the internet has no business with mail.
        timeout = httpx.Timeout(answer_timeout_s, connect=CONNECT_TIMEOUT_S)
        self._client = httpx.Client(timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, message: bytes | BinaryIO, *, mail_from: str, rcpt_to: Sequence[str]) -> tuple[ScanAnswer, bytes]:
        """The answer, decoded and as it came.

        Raises:
            NotAskedError: there was none.
        """
        try:
            response = self._client.post(
                f"{self._url}/v1/scan",
                params={"mail_from": mail_from, "rcpt_to": list(rcpt_to)},
                headers={"Content-Type": RAW_CONTENT_TYPE},
                content=message,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message_text = (
                f"cannot ask {self._url}: {str(error) or type(error).__name__}; "
                "is qscan running there (`qscan up`)? --url names another one"
            )
            raise NotAskedError(message_text) from error
        if response.status_code != httpx.codes.OK:
            raise NotAskedError(f"{self._url} answers {_problem(response)}", response.content)
        try:
            return msgspec.json.decode(response.content, type=ScanAnswer), response.content
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            text = f"{self._url} gives an answer that is not qscan's ({error}): is it the right address?"
            raise NotAskedError(text) from error


def _problem(response: httpx.Response) -> str:
    try:
        problem = msgspec.json.decode(response.content, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"{response.status_code}, and not in qscan's way: is it the right address?"
    return f"{problem.status} {problem.title}: {problem.detail}"
