#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes muse/_native.py: structs, constants and prototypes of include/muse/*.h for ctypes. Run it after a header changed; a test
compares. With --layout it prints a C program that prints the size of each struct and the offset of each member, for another test.
Needs a C compiler and pycparser (python3-pycparser).
usage: make_native.py [--layout] [--check]"""
import keyword
import pathlib
import re
import subprocess
import sys
import tempfile

from pycparser import c_ast, c_parser

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parent / "include"
TARGET = HERE / "muse/_native.py"
BASE = {"int": "c_int", "unsigned int": "c_uint", "unsigned": "c_uint", "float": "c_float", "double": "c_double", "char": "c_char",
        "size_t": "c_size_t", "uint8_t": "c_uint8", "int32_t": "c_int32", "uint32_t": "c_uint32", "uint64_t": "c_uint64"}
# what the two standard headers of status.h would define
PRELUDE = "".join(f"typedef int {name};\n" for name in BASE if name.endswith("_t"))
HEAD = '''# SPDX-License-Identifier: Apache-2.0
"""What include/muse/*.h declare, for ctypes. Written by make_native.py: do not edit."""
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_size_t, c_uint, c_uint8,
                    c_uint32, c_uint64, c_void_p)
from typing import Any
'''


def preprocess(*options):
    """muse.h through the preprocessor, without the standard headers' own contents"""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("stddef.h", "stdint.h"):
            pathlib.Path(folder, name).write_text("")
        command = ["cc", "-E", "-P", "-nostdinc", "-U__GNUC__", *options, "-I", folder, "-I", str(INCLUDE), str(INCLUDE / "muse/muse.h")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Writer:
    def __init__(self):
        self.lines, self.prototypes, self.structs, self.functions, self.done = [], [], {}, set(), set()

    # ---- types ----

    def name_of(self, node):
        return " ".join(node.type.names) if isinstance(node.type, c_ast.IdentifierType) else node.type.name

    def function(self, node):
        return f"CFUNCTYPE({', '.join([self.type(node.type), *self.arguments(node, given=False)])})"

    def arguments(self, node, given=True):
        params = [p for p in (node.args.params if node.args else []) if not (isinstance(p.type, c_ast.TypeDecl) and self.name_of(p.type) == "void")]
        return [self.type(p.type, given) for p in params]

    def pointer(self, to, given):
        if isinstance(to, c_ast.FuncDecl):
            return self.function(to)
        if isinstance(to, c_ast.TypeDecl):
            name = self.name_of(to)
            if name == "void":
                return "c_void_p"
            if name in self.functions:
                return name
            if name == "char":   # what comes from C may lack a terminator, so ctypes must not read it by itself
                return "c_char_p" if given and "const" in to.quals else "POINTER(c_char)"
        if isinstance(to, c_ast.PtrDecl) and isinstance(to.type, c_ast.TypeDecl) and self.name_of(to.type) == "char":
            return "POINTER(c_char_p)" if "const" in to.quals else "POINTER(POINTER(c_char))"   # given strings; strings that come back
        return f"POINTER({self.type(to)})"

    def type(self, node, given=False):
        if isinstance(node, c_ast.PtrDecl):
            return self.pointer(node.type, given)
        if isinstance(node, c_ast.ArrayDecl):
            return f"POINTER({self.type(node.type)})" if given else f"{self.type(node.type)} * {self.size(node.dim)}"
        name = self.name_of(node)
        return "None" if name == "void" else BASE.get(name, "c_int" if name in self.done and name not in self.structs else name)

    def size(self, dim):
        return dim.value if isinstance(dim, c_ast.Constant) else dim.name

    def hint(self, node):
        """what reading the member gives in Python"""
        kind = self.type(node)
        if kind in ("c_float", "c_double"):
            return "float"
        return "int" if kind.startswith("c_") and " " not in kind and kind != "c_void_p" else kind if kind in self.structs else "Any"

    # ---- declarations ----

    def enum(self, node):
        at = -1
        for item in node.values.enumerators:
            at = self.value(item.value) if item.value is not None else at + 1
            self.lines.append(f"{item.name} = {at}")
        self.lines.append("")

    def value(self, node):
        if isinstance(node, c_ast.UnaryOp) and node.op == "-":
            return -self.value(node.expr)
        if isinstance(node, c_ast.BinaryOp) and node.op == "<<":
            return self.value(node.left) << self.value(node.right)
        return int(node.value.rstrip("uUlL"), 0)

    def struct(self, name, node):
        fields = [(d.name, self.type(d.type), self.hint(d.type)) for d in node.decls or []]
        self.structs[name] = [f[0] for f in fields]
        self.lines += ["", f"class {name}(Structure):"]
        if not fields:
            self.lines += ["    pass", ""]
            return
        self.lines += [f"    {field}: {hint}" for field, _, hint in fields if not keyword.iskeyword(field)]
        self.lines += ["    _fields_ = ["] + [f'        ("{field}", {kind}),' for field, kind, _ in fields] + ["    ]", ""]

    def declare(self, node):
        if isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl):
            result = node.type.type
            text = isinstance(result, c_ast.PtrDecl) and isinstance(result.type, c_ast.TypeDecl) and self.name_of(result.type) == "char"
            kind = "c_char_p" if text else self.type(result)   # names and texts that calls return are terminated
            self.prototypes.append(f'    "{node.name}": ({kind}, [{", ".join(self.arguments(node.type))}]),')
        elif isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.Enum):
            self.enum(node.type)
        elif isinstance(node, c_ast.Typedef) and isinstance(node.type, c_ast.FuncDecl):
            self.functions.add(node.name)
            self.lines.append(f"{node.name} = {self.function(node.type)}")
        elif isinstance(node, c_ast.Typedef) and isinstance(node.type.type, c_ast.Struct):
            self.struct(node.name, node.type.type)
        elif isinstance(node, c_ast.Typedef) and isinstance(node.type.type, c_ast.Enum):
            self.enum(node.type.type)
            self.done.add(node.name)
        elif not (isinstance(node, c_ast.Typedef) and node.name in BASE):
            raise SystemExit(f"make_native.py does not know what to do with {node.name}")


def read():
    writer = Writer()
    for name, number in re.findall(r"^#define (MUSE_\w+) +(0x[0-9a-f]+|\d+)u?$", preprocess("-dM"), re.M):
        writer.lines.append(f"{name} = {int(number, 0)}")
    writer.lines.sort()
    for node in c_parser.CParser().parse(PRELUDE + preprocess()).ext:
        writer.declare(node)
    return writer


def native(writer):
    table = ["", "# name: (result, arguments)", "PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {", *writer.prototypes, "}"]
    text = "\n".join([HEAD, *writer.lines, *table, ""])
    return re.sub(r"\n{4,}", "\n\n\n", text)


def layout(writer):
    out = ["#include <stdio.h>", "#include <stddef.h>", '#include "muse/muse.h"', "int main(void)", "{"]
    for name, fields in writer.structs.items():
        if fields:
            out.append(f'    printf("{name} %zu\\n", sizeof({name}));')
            out += [f'    printf("{name}.{field} %zu\\n", offsetof({name}, {field}));' for field in fields]
    return "\n".join([*out, "    return 0;", "}", ""])


def main(options):
    writer = read()
    if "--layout" in options:
        print(layout(writer), end="")
    elif "--check" in options:
        if TARGET.read_text() != native(writer):
            raise SystemExit(f"the headers have changed: run {HERE.name}/make_native.py")
    else:
        TARGET.write_text(native(writer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
