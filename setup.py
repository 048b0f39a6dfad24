"""Copy conf/ and the studies into the package. Everything else is configured in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# In a clone, these folders are beside run.py. In an installed package, they are inside cvlib/.
COPIED = {"conf": "**/*.yaml", "experiments": "*.yaml"}


class BuildWithYaml(build_py):
    """Copy the YAML files into the package at build time. An editable install reads the originals."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for folder, pattern in COPIED.items():
            for file in Path(folder).glob(pattern):
                target = Path(self.build_lib, "cvlib", file)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)


setup(cmdclass={"build_py": BuildWithYaml})
