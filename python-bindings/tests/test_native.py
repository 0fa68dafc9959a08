# SPDX-License-Identifier: Apache-2.0
"""_native.py against the headers and the C compiler; finding and refusing libraries."""
import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import HERE, ROOT

import muse
from muse import _errors, _lib, _native

MAKE = HERE.parent / "make_native.py"
needs_parser = pytest.mark.skipif(not importlib.util.find_spec("pycparser") or not shutil.which("cc"), reason="needs pycparser and a C compiler")


@needs_parser
def test_is_what_the_headers_say():
    subprocess.run([sys.executable, MAKE, "--check"], check=True)


@needs_parser
def test_sizes_and_offsets_are_the_compilers(tmp_path):
    source = tmp_path / "layout.c"
    source.write_text(subprocess.run([sys.executable, MAKE, "--layout"], check=True, capture_output=True, text=True).stdout)
    subprocess.run(["cc", "-I", ROOT / "include", source, "-o", tmp_path / "layout"], check=True)
    lines = subprocess.run([tmp_path / "layout"], check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) > 400
    for line in lines:
        name, number = line.split()
        struct, _, member = name.partition(".")
        kind = getattr(_native, struct)
        assert (getattr(kind, member).offset if member else ctypes.sizeof(kind)) == int(number), name


def test_every_status_code_has_its_exception():
    codes = {value: name for name, value in vars(_native).items() if name.startswith("MUSE_ERR_") and isinstance(value, int)}
    assert set(codes) == set(_errors.BY_CODE)
    assert len(set(_errors.BY_CODE.values())) == len(codes)
    for code in codes:
        error = _errors.error_of(code, "why")
        assert isinstance(error, muse.MuseError) and error.code == code and str(error) == "why"
    assert type(_errors.error_of(-99, "newer")) is muse.MuseError


def test_versions_agree():
    project = re.search(r"project\('muse', 'c', version: '([^']+)'", (ROOT / "meson.build").read_text()).group(1)
    pyproject = re.search(r'^version = "([^"]+)"', (HERE.parent / "pyproject.toml").read_text(), re.M).group(1) if (HERE.parent / "pyproject.toml").exists() else project
    assert muse.__version__ == project == pyproject == _lib.lib.muse_version().decode()


def load_with(tmp_path, library):
    """import muse in a fresh process with this MUSE_LIBRARY; its error text"""
    code = "import muse\n" if library else "import muse; print(muse.__version__)"
    env = {**os.environ, "PYTHONPATH": str(HERE.parent), "MUSE_LIBRARY": str(library)}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=tmp_path)


def test_a_missing_library_names_the_places(tmp_path):
    out = load_with(tmp_path, tmp_path / "nothing.so")
    assert out.returncode == 1 and "LibraryError" in out.stderr and "nothing.so" in out.stderr and "MUSE_LIBRARY" in out.stderr
    shutil.copytree(HERE.parent / "muse", tmp_path / "muse", ignore=shutil.ignore_patterns("*.so*", "__pycache__"))
    env = {k: v for k, v in os.environ.items() if k not in ("MUSE_LIBRARY", "PYTHONPATH", "LD_LIBRARY_PATH")}
    out = subprocess.run([sys.executable, "-c", "import muse"], env=env, capture_output=True, text=True, cwd=tmp_path)
    if out.returncode == 0:
        pytest.skip("libmuse is installed on this system")
    assert str(tmp_path / "muse/libmuse.so.0") in out.stderr and "the system's libraries" in out.stderr


def test_what_the_library_needs_is_named(tmp_path):
    built = open(_lib.lib._name, "rb").read()
    if b"\0libyajl.so.2\0" not in built:
        pytest.skip("this library is not linked with libyajl.so.2")
    lacking = tmp_path / "libmuse.so.0"
    lacking.write_bytes(built.replace(b"\0libyajl.so.2\0", b"\0libyajX.so.2\0"))
    out = load_with(tmp_path, lacking)
    assert out.returncode == 1 and "LibraryError" in out.stderr and "it needs libyajX.so.2 of the system" in out.stderr and "apt-get install libyajl2 " in out.stderr
    guide = (ROOT / "docs/python.md").read_text()
    assert "apt-get install " + " ".join(_lib.NEEDED.values()) + "\n" in guide
    if shutil.which("readelf"):
        linked = set(re.findall(r"NEEDED.*\[(.*?)\]", subprocess.run(["readelf", "-d", _lib.lib._name], capture_output=True, text=True, check=True).stdout))
        assert {name for name in linked if not re.match(r"lib(c|m|dl|pthread)\.so|ld-", name)} <= set(_lib.NEEDED)


@pytest.mark.parametrize("code, says", [
    ("int muse_abi_version(void) { return 7; } const char *muse_version(void) { return \"0.1.0\"; }", "ABI 7"),
    ("int muse_abi_version(void) { return 0; } const char *muse_version(void) { return \"0.0.9\"; }", "libmuse 0.0.9"),
    ("int muse_abi_version(void) { return 0; } const char *muse_version(void) { return \"0.1.0\"; }", "has no muse_"),
    ("int nothing;", "is not libmuse"),
])
def test_another_version_is_refused(tmp_path, code, says):
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler")
    (tmp_path / "other.c").write_text(code)
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "other.c", "-o", tmp_path / "other.so"], check=True)
    out = load_with(tmp_path, tmp_path / "other.so")
    assert out.returncode == 1 and says in out.stderr and "other.so" in out.stderr


def test_types():
    if not importlib.util.find_spec("mypy"):
        pytest.skip("needs mypy")
    out = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "muse"], cwd=HERE.parent, capture_output=True, text=True)
    assert out.returncode == 0, out.stdout
