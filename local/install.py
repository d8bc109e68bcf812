"""Make the virtual environments of this Python version below .venv, when needed.

Prints the main one's path; progress goes to standard error. Needs nothing but the
standard library. `.venv/3.13` is for everything, `.venv/3.13-s3` for the local S3,
which pins another botocore. Others are made only when the variable ENVIRONMENTS names
them: `checkov` is `.venv/3.13-checkov`, from local/requirements-checkov.txt. A stamp
in each, written last, makes the next start cost nothing; an installation without it, or
of other requirements, is made anew, and the others stay.
"""

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
ALWAYS = ["", "s3"]  # the main environment has no name
MAIN_FILES = [
    "requirements-dev.txt",
    "constraints.txt",
    "layers/dependencies/requirements.txt",
]


def main() -> int:
    """Install what is missing; return the exit code."""
    main_environment = PROJECT / ".venv" / "{}.{}".format(*sys.version_info)
    print(main_environment)
    names = wanted(os.environ.get("ENVIRONMENTS", ""))
    if problem := unsuitable() or unknown(names):
        say(problem)
        return 1
    main_environment.parent.mkdir(exist_ok=True)
    with (main_environment.parent / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another command is installing; waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        missing = {
            name: environment
            for name in names
            if not is_current(name, environment := place(main_environment, name))
        }
        return install(missing) if missing else 0


def wanted(more: str) -> list[str]:
    """Return the names of the environments to have, each once; `more` adds some."""
    return list(dict.fromkeys([*ALWAYS, *more.split()]))


def unknown(names: list[str]) -> str:
    """Return which environment there is none of; an empty text when all exist."""
    for name in names:
        for file in files(name):
            if not (PROJECT / file).is_file():
                return f"ENVIRONMENTS names {name!r}, but there is no {file}."
    return ""


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


def place(main_environment: Path, name: str) -> Path:
    """Return the folder of an environment, beside the main one."""
    if not name:
        return main_environment
    return main_environment.with_name(f"{main_environment.name}-{name}")


def files(name: str) -> list[str]:
    """Return the files that say what an environment has, the one for pip first."""
    return [f"local/requirements-{name}.txt"] if name else MAIN_FILES


def install(environments: dict[str, Path]) -> int:
    """Make environments side by side, for they mostly wait for the network."""
    began = time.monotonic()
    # Taken before: what changes meanwhile is to be installed by the next command.
    digests = {name: digest(name, folder) for name, folder in environments.items()}
    say("Installing below .venv, about a minute ...")
    started = {name: start(name, folder) for name, folder in environments.items()}
    failed = False
    for name, process in started.items():
        environment = environments[name]
        if process is None or process.wait() != 0:
            failed = True
            say(f"  {environment.name}: FAILED")
        else:
            stamp(environment).write_text(digests[name])
            say(f"  {environment.name}: done")
    if failed:
        return 1
    say(f"Installed in {time.monotonic() - began:.0f} s.")
    return 0


def start(name: str, environment: Path) -> subprocess.Popen[bytes] | None:
    """Start an installation; None when there is not even an empty environment."""
    requirements = files(name)[0]
    say(f"  {environment.name}: {requirements}")
    make = [sys.executable, "-m", "venv", "--clear", str(environment)]
    # Standard output is for the environment's path.
    if subprocess.run(make, stdout=sys.stderr, check=False).returncode:
        return None
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-qq"]
    pip += ["--disable-pip-version-check", "--no-input", "-r", requirements]
    if not name:
        pip += ["-c", "constraints.txt"]
    return subprocess.Popen(pip, cwd=PROJECT, stdout=sys.stderr)


def stamp(environment: Path) -> Path:
    """Return the file that marks a complete installation."""
    return environment / "installed"


def is_current(name: str, environment: Path) -> bool:
    """Tell whether the installation is complete and of today's requirements."""
    found = stamp(environment)
    return found.exists() and found.read_text() == digest(name, environment)


def digest(name: str, environment: Path) -> str:
    """Return a hash of requirements, interpreter and place: environments don't move."""
    parts = [sys.version, sys.base_prefix, str(environment)]
    parts += [(PROJECT / file).read_text() for file in files(name)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def say(message: str) -> None:
    """Tell the developer."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
