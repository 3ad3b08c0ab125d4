"""One clamd as `watch` sees it."""

import asyncio
from typing import Final

from qscan_av_gateway.adapters.clamd_address import ClamdAddress, UnixAddress
from qscan_av_gateway.adapters.clamd_control import ClamdControl, ControlError
from qscan_av_gateway.watch import DaemonError, Versions


class ClamdDaemon:
    """Translates the control of a clamd into the words of `watch.Daemon`."""

    def __init__(self, address: ClamdAddress, control: ClamdControl) -> None:
        """Speak through `control` to the clamd at `address`."""
        self._where: Final = address
        self._control = control

    @property
    def address(self) -> str:
        """As in the settings."""
        return str(self._where)

    async def ping(self) -> None:
        """Return if clamd answers. Raises DaemonError."""
        try:
            await self._control.ping()
        except ControlError as error:
            raise DaemonError(str(error)) from error

    async def versions(self) -> Versions:
        """VERSION, and for a unix socket which file it is: clamd makes a new one at each start. Raises DaemonError."""
        try:
            incarnation = await asyncio.to_thread(_incarnation, self._where)
            version = await self._control.version()
        except (ControlError, OSError) as error:
            raise DaemonError(str(error)) from error
        return Versions(
            engine=version.engine,
            signatures=version.database,
            made=version.made,
            is_outdated=version.is_outdated,
            incarnation=incarnation,
        )

    async def reload(self) -> None:
        """RELOAD. Raises DaemonError."""
        try:
            await self._control.reload()
        except ControlError as error:
            raise DaemonError(str(error)) from error


def _incarnation(address: ClamdAddress) -> str:
    if not isinstance(address, UnixAddress):
        return ""
    status = address.as_path().stat()
    return f"{status.st_dev}:{status.st_ino}:{status.st_ctime_ns}"
