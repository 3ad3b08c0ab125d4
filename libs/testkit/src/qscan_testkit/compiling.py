"""Small C programs of ours, compiled when they are needed: no binary is ever committed."""

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_COMPILE_TIMEOUT_S = 60.0


class CompilerMissingError(RuntimeError):
    """There is no C compiler. The text says what to install."""


def compile_c(source: Path, into: Path, defines: Mapping[str, str] | None = None) -> Path:
    """Compile one C file into the folder `into` and return the program's path.

    The name holds a digest of source and defines, so that a second call with the same ones costs
    nothing. Static where the C library allows it, as that halves the cost of an exec.

    Raises:
        CompilerMissingError: no compiler is installed.
        subprocess.CalledProcessError: the source does not compile.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        message = "no C compiler; install one, for example: apt-get install gcc libc6-dev"
        raise CompilerMissingError(message)
    flags = [f"-D{name}={value}" for name, value in sorted((defines or {}).items())]
    digest = hashlib.sha256(source.read_bytes() + "\0".join(flags).encode()).hexdigest()[:12]
    program = into / f"{source.stem}-{digest}"
    if program.exists():
        return program
    into.mkdir(parents=True, exist_ok=True)
    unfinished = program.with_suffix(".new")
    command = [
        compiler,
        "-std=c11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        *flags,
        "-o",
        str(unfinished),
    ]
    static = subprocess.run(
        [*command, "-static", str(source)],
        check=False,
        capture_output=True,
        timeout=_COMPILE_TIMEOUT_S,
    )
    if static.returncode != 0:
        subprocess.run([*command, str(source)], check=True, timeout=_COMPILE_TIMEOUT_S)
    return unfinished.rename(program)
