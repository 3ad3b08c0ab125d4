"""How a command ends when it cannot do what it was asked."""

import os


class CommandError(Exception):
    """The command stops here. The text says what is wrong and what to do; `status` is the exit status."""

    def __init__(self, text: str, status: int = os.EX_CONFIG) -> None:
        """Stop with `text` on standard error and the exit status `status`."""
        super().__init__(text)
        self.status = status
