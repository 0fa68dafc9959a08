# SPDX-License-Identifier: Apache-2.0
"""What pyproject.toml can't say: the wheel holds a library for this machine, but nothing of one Python version."""
import pathlib

from setuptools import Distribution, setup
from wheel.bdist_wheel import bdist_wheel

if not list(pathlib.Path(__file__).parent.glob("muse/libmuse.so.*")):
    raise SystemExit("muse/libmuse.so.* is missing: ./run wheel builds the library and puts it there")


class Wheel(bdist_wheel):
    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


class WithLibrary(Distribution):
    def has_ext_modules(self):
        return True


setup(distclass=WithLibrary, cmdclass={"bdist_wheel": Wheel})
