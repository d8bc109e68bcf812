"""Make the virtual environments of this Python version below .venv, when needed.

Prints the main one's path; progress goes to standard error. Needs nothing but the
standard library. `.venv/3.13` is for everything, `.venv/3.13-s3` for the local S3,
which pins another botocore. A stamp, written last, makes the next start cost nothing;
an installation without it, or with another, is made anew.
"""

import fcntl
import hashlib
import importlib.util
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
REQUIREMENTS = {
    "": ["-r", "requirements-dev.txt", "-c", "constraints.txt"],
    "-s3": ["-r", "local/requirements-s3.txt"],
}
FILES = [
    "requirements-dev.txt",
    "constraints.txt",
    "layers/dependencies/requirements.txt",
    "local/requirements-s3.txt",
]


def main() -> int:
    """Install what is missing; return the exit code."""
    version = "{}.{}".format(*sys.version_info)
    main_environment = PROJECT / ".venv" / version
    print(main_environment)
    if problem := unsuitable():
        say(problem)
        return 1
    main_environment.parent.mkdir(exist_ok=True)
    with (main_environment.parent / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another command is installing; waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if is_current(main_environment):
            return 0
        began = time.monotonic()
        say(f"Installing into .venv/{version}, about a minute ...")
        done = [*map(finished, start_all(main_environment))]
        if len(done) < len(REQUIREMENTS) or not all(done):
            return 1
        stamp(main_environment).write_text(digest(main_environment))
        say(f"Installed in {time.monotonic() - began:.0f} s.")
    return 0


def unsuitable() -> str:
    """Return why this Python will not do; an empty text when it does."""
    if not sys.platform.startswith("linux"):
        return "This needs Linux: the servers and Lambda's runtime are Linux programs."
    if importlib.util.find_spec("ensurepip") is None:
        package = "python{}.{}-venv".format(*sys.version_info)
        return (
            f"{sys.executable} cannot make virtual environments: it has no ensurepip. "
            f"On Debian and Ubuntu: apt install {package}. Or choose PYTHON=..."
        )
    return ""


def start_all(main_environment: Path) -> list[tuple[str, subprocess.Popen[bytes]]]:
    """Start all installations side by side, for they mostly wait for the network."""
    started = []
    for suffix, requirements in REQUIREMENTS.items():
        folder = main_environment.with_name(main_environment.name + suffix)
        say(f"  {folder.name}: {requirements[1]}")
        make = [sys.executable, "-m", "venv", "--clear", str(folder)]
        if subprocess.run(make, check=False).returncode:
            continue
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq"]
        pip += ["--disable-pip-version-check", "--no-input", *requirements]
        started.append((folder.name, subprocess.Popen(pip, cwd=PROJECT)))
    return started


def finished(installation: tuple[str, subprocess.Popen[bytes]]) -> bool:
    """Wait for an installation and say how it ended."""
    name, process = installation
    failed = process.wait() != 0
    say(f"  {name}: {'FAILED' if failed else 'done'}")
    return not failed


def stamp(environment: Path) -> Path:
    """Return the file that marks a complete installation."""
    return environment / "installed"


def is_current(environment: Path) -> bool:
    """Tell whether the installation is complete and of today's requirements."""
    found = stamp(environment)
    return found.exists() and found.read_text() == digest(environment)


def digest(environment: Path) -> str:
    """Return a hash of requirements, interpreter and place: environments don't move."""
    parts = [sys.version, sys.base_prefix, str(environment)]
    parts += [(PROJECT / name).read_text() for name in FILES]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def say(message: str) -> None:
    """Tell the developer."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
