"""Puts conf/ and the studies into the package; pyproject.toml says all else."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# Beside run.py in a clone, inside cvlib/ where it is installed.
ANSWERS = {"conf": "**/*.yaml", "experiments": "*.yaml"}


class WithAnswers(build_py):
    """Copies the answers into the package that is being built; an editable install reads them where they are."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for folder, pattern in ANSWERS.items():
            for file in Path(folder).glob(pattern):
                target = Path(self.build_lib, "cvlib", file)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)


setup(cmdclass={"build_py": WithAnswers})
