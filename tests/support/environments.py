"""Fresh virtual environments with this package in them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Environment:
    """A virtual environment in a folder."""

    def __init__(self, folder: Path, *requirements: str) -> None:
        """Create it and install ``requirements``; ``.[cpu]`` means this package."""
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for requirement in requirements:  # one by one, so that a pinned torch is there first
            self.run("-m", "pip", "install", "-q", requirement.replace(".[", f"{ROOT}["))

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.folder / "bin" / "python"

    def run(self, *arguments: str, prefix: tuple[str, ...] = ()) -> str:
        """Run the environment's Python outside the repository; return what it printed."""
        done = subprocess.run(
            [*prefix, str(self.python), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def packages(self) -> set[str]:
        """Return the names of the packages that are installed, pip and setuptools left out."""
        lines = self.run("-m", "pip", "--disable-pip-version-check", "list", "--format=freeze")
        names = {line.partition("==")[0].lower() for line in lines.splitlines() if "==" in line}
        return names - {"pip", "setuptools"}

    def size(self) -> int:
        """Return the bytes of all that was installed, pip and setuptools left out."""
        [packages] = self.folder.glob("lib/python*/site-packages")
        own = ("pip", "setuptools", "_distutils_hack", "pkg_resources")
        return sum(
            path.stat().st_size
            for path in packages.rglob("*")
            if path.is_file() and not path.relative_to(packages).parts[0].startswith(own)
        )
