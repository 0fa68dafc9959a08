#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The man page and the completions offer every option that muse explains, muse explains every option it takes, and the shells
complete from them. usage: test_pages.py MUSE SOURCE_ROOT MAN BASH ZSH FISH"""
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

from cli_help import ROOT, main, muse

MAN, BASH, ZSH, FISH = (pathlib.Path(p) for p in sys.argv[3:7])
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


def commands():
    names = re.findall(r"^  (\w+) ", muse("--help")[0], re.M)
    return {name: muse(name, "--help")[0] for name in names}


def complete(*words):
    """What bash offers behind these words; the last is the one being typed."""
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _muse; printf "%s\\n" "${COMPREPLY[@]}"'
    run = subprocess.run(["bash", "--norc", "-c", script, "bash", str(BASH), "muse", *words], capture_output=True, text=True, timeout=60)
    return run.stdout.split(), run.stderr


class Pages(unittest.TestCase):
    def test_every_option_is_in_the_pages(self):
        pages = {"man": re.sub(r"\\f[BIR]", "", MAN.read_text()).replace("\\-", "-"), "bash": BASH.read_text(), "zsh": ZSH.read_text(),
                 "fish": re.sub(r" -l ([\w-]+)", r" --\1 ", FISH.read_text())}
        for command, text in commands().items():
            for page, content in pages.items():
                self.assertIn(command, content, page)
                for option in sorted(set(OPTION.findall(text))):
                    self.assertIn(option, OPTION.findall(content), f"{page}: {command}")

    def test_every_option_taken_is_explained(self):
        explained = {"--help", "--version"}.union(*(OPTION.findall(text) for text in commands().values()))
        for path in sorted((ROOT / "tools").glob("*.c")):
            for option in re.findall(r'"(--[a-z][\w-]*)"', path.read_text()):
                self.assertIn(option, explained, f"{path.name} takes it, and no --help tells")

    def test_every_variable_is_in_the_man_page(self):
        for path in sorted((ROOT / "tools").glob("*.c")):
            for name in re.findall(r'getenv\("(\w+)"\)', path.read_text()):
                self.assertRegex(MAN.read_text(), rf"(?m)^\.TP\n{name}$")

    def test_man_page_is_well_formed(self):
        text = MAN.read_text()
        for title in "NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "EXIT STATUS", "ENVIRONMENT":
            self.assertRegex(text, rf'(?m)^\.SH "?{title}')
        self.assertRegex(text, r"(?m)^\.TP\n3\nbad input file$")
        if shutil.which("groff"):
            run = subprocess.run(["groff", "-ww", "-man", "-Tascii", "-z", str(MAN)], capture_output=True, text=True, timeout=60)
            self.assertEqual(run.stderr, "")

    def test_bash_completes(self):
        for words, want in [(["ins"], ["inspect"]), (["run", "--max"], ["--max-tokens"]), (["run", "--think", ""], ["on", "off"]),
                            (["bench", "--compute", "b"], ["bf16"]), (["convert", "a", "b", "--type", "q4"], ["q4_0", "q4_k"]),
                            (["run", "--image", ""], []), (["inspect", ""], [])]:
            got, errors = complete(*words)
            self.assertEqual((got, errors), (want, ""), words)

    def test_other_shells_can_read_theirs(self):
        for shell, page in ("zsh", ZSH), ("fish", FISH):
            if shutil.which(shell):
                run = subprocess.run([shell, "-n", str(page)], capture_output=True, text=True, timeout=60)
                self.assertEqual((run.returncode, run.stderr), (0, ""), shell)


main()
