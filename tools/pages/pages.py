#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the man page and the shell completions of muse from what the program itself says under --help, so that they agree with it.
A help text has usage lines, paragraphs, options ("  --name VALUE    text", continued on indented lines) and titles that end in a colon.
usage: pages.py man|bash|zsh|fish MUSE VERSION     (the page goes to standard output)"""
import re
import subprocess
import sys

FILES = re.compile(r"FILE|PATH|DIR|FOLDER")   # a value of such a name is a file's

ENVIRONMENT = [("MUSE_MODEL", "the model of commands that are given none"),
               ("MUSE_MODELS", "a folder of models, looked into before those that ship with the program"),
               ("MUSE_DATA", "a folder with a folder models, looked into after MUSE_MODELS"),
               ("TERM", "dumb: progress as lines that stay"),
               ("HOME", "what ~/ stands for in the files of muse chat")]


class Option:
    def __init__(self, spec, text):
        self.spec, self.text = spec, text
        self.names = re.findall(r"(--[\w-]+)(?: (.+?))?(?=, --|$)", spec)   # (name, value's name or "")

    def choices(self):
        """The words a value is one of: A|B in the option itself, or the list that its text begins with."""
        value = self.names[0][1]
        plain = re.sub(r"\s*\([^)]*\)", "", self.text)
        listed = re.match(r"(\w+(?:, \w+)*,? or \w+|\w+(?:, \w+){2,})(?=[;:.]|$)", plain)
        if value and "|" in value:
            return [word for word in value.split("|") if not word.isupper() or len(word) == 1 and word != "N"]
        return re.split(r",? or |, ", listed.group(1)) if value and listed else []


class Command:
    """A command's help: usage, and its blocks in order: ("text", str), ("option", Option) or ("title", str)."""

    def __init__(self, name, about, text):
        self.name, self.about, self.usage, self.blocks, self.exits = name, about, [], [], ""
        for line in text.rstrip("\n").split("\n"):
            kind = self.blocks[-1][0] if self.blocks else None
            option = re.match(r"  ((?:--|/).*?)(?:\s{2,}(.*))?$", line)   # or what is typed in a chat
            if line.startswith("usage: ") or not self.blocks and line.startswith("       muse "):
                self.usage.append(line.removeprefix("usage: ").strip())
            elif line.startswith("exit codes: "):
                self.exits = line.removeprefix("exit codes: ")
            elif option:
                self.blocks.append(("option", Option(option.group(1), option.group(2) or "")))
            elif not line.strip():
                self.blocks.append(("gap", ""))
            elif kind == "option" and line.startswith("      "):
                self.blocks[-1][1].text += " " + line.strip()
            elif line.endswith(":") and not line.startswith(" "):
                self.blocks.append(("title", line[:-1]))
            elif kind == "text":
                self.blocks[-1] = ("text", self.blocks[-1][1] + " " + line.strip())
            else:
                self.blocks.append(("text", line.strip()))

    def options(self):
        return [block for kind, block in self.blocks if kind == "option"]

    def named(self):
        """(name, value, option) of each option once; --help is every command's."""
        seen = {}
        for option in [*self.options(), Option("--help", "explain this command")]:
            for name, value in option.names:
                seen.setdefault(name, (name, value, option))
        return list(seen.values())


def read_help(muse):
    def say(*args):
        return subprocess.run([muse, *args, "--help"], capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^  (\w+) +(.*)$", say(), re.M)
    if not listed:
        sys.exit("pages.py: muse --help lists no commands")
    return [Command(name, about, say(name)) for name, about in listed]


# ---- man ----

def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def block_lines(blocks):
    for kind, block in blocks:
        if kind == "option":
            names = block.names or [block.spec.partition(" ")[::2]]
            names = ", ".join(f"\\fB{roff(name)}\\fR" + (f" \\fI{roff(value)}\\fR" if value else "") for name, value in names)
            yield f".TP\n{names}\n{roff(block.text)}"
        elif kind == "title":
            yield f".PP\n{roff(block[0].upper() + block[1:])}:"
        elif kind == "text":
            yield f".PP\n{roff(block)}"


def sections(command):
    """The blocks before the first title, then {title: its blocks}."""
    own, shared, at = [], {}, None
    for kind, block in command.blocks:
        if kind == "title":
            at = shared.setdefault(block, [])
        else:
            (own if at is None else at).append((kind, block))
    return own, shared


def same(blocks):
    return [(kind, (block.spec, block.text) if kind == "option" else block) for kind, block in blocks if kind != "gap"]


def man(commands, version):
    once = {}   # titled sections that read the same in every command that has them are told once, at the end
    for command in commands:
        for title, blocks in sections(command)[1].items():
            once.setdefault(title, []).append(same(blocks))
    once = {title for title, texts in once.items() if all(t == texts[0] for t in texts)}
    out = [f'.TH MUSE 1 "" "muse {version}" "User Commands"', ".SH NAME",
           "muse \\- run, train and examine natively multimodal models", ".SH SYNOPSIS",
           ".B muse\n.I COMMAND\n[\\fIOPTION\\fR ...]", ".br", ".B muse\n.I COMMAND\n.B \\-\\-help", ".br", ".B muse \\-\\-version",
           ".SH DESCRIPTION",
           "Text, pictures and sounds become one sequence of positions, and one decoder attends over all of them. "
           "Text goes to standard output, status and warnings to standard error. A value may also stand behind an equals sign: \\-\\-option=VALUE.", ".SH COMMANDS"]
    told = {}
    for command in commands:
        own, shared = sections(command)
        out += [f'.SS "muse {command.name}: {roff(command.about)}"'] + [f".B {roff(u)}\n.br" for u in command.usage] + [*block_lines(own)]
        for title, blocks in shared.items():
            if title in once:
                told[title] = blocks
            else:
                out += [f".PP\n{roff(title[0].upper() + title[1:])}:", *block_lines(blocks)]
        if told.keys() & shared.keys():
            out.append(".PP\nAlso takes what stands under " + " and ".join(t.upper() for t in shared if t in told) + " below.")
    for title, blocks in told.items():
        out += [f'.SH "{roff(title.upper())}"', *block_lines(blocks)]
    exits = [c.exits for c in commands if c.exits]
    out += [".SH EXIT STATUS"]
    for code, meaning in sorted(re.findall(r"(\d) ([^,]+)", max(exits, key=exits.count, default=""))):
        out.append(f".TP\n{code}\n{roff(meaning)}")
    out += [".SH ENVIRONMENT"] + [f".TP\n{name}\n{meaning}" for name, meaning in ENVIRONMENT]
    out += [".SH SEE ALSO", "The documents README.md and docs/ of libmuse's source."]
    return "\n".join(out)


# ---- shells ----

def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def bash(commands, version):
    out = [f"# bash completion of muse {version}; made from its --help", "_muse()", "{",
           '    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= word',
           "    COMPREPLY=()",
           '    if [ "$COMP_CWORD" -le 1 ]; then',
           f'        words="{" ".join(c.name for c in commands)} --help --version"',
           "    else",
           '        case "${COMP_WORDS[1]} $prev" in']
    values = {}
    for command in commands:
        for name, value, option in command.named():
            if value:
                words = " ".join(option.choices())
                values.setdefault(words, []).append(f'"{command.name} {name}"')
    for words, patterns in sorted(values.items()):
        out += ["        " + " | \\\n        ".join(patterns) + ")", f'            words="{words}" ;;' if words else "            return ;;"]
    out += ["        *)", '            case "${COMP_WORDS[1]}" in']
    for command in commands:
        out.append(f'            {command.name}) words="{" ".join(name for name, _, _ in command.named())}" ;;')
    out += ["            esac", '            [[ $cur == -* ]] || return ;;', "        esac", "    fi",
            '    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$words" -- "$cur")', "}",
            "complete -o default -F _muse muse   # default: files, where nothing else is offered"]
    return "\n".join(out)


def zsh(commands, version):
    def spec(name, value, option):
        text = re.sub(r"([\[\]:\\])", r"\\\1", option.text)
        action = f":{value.replace(':', '')}:" + (f"({' '.join(option.choices())})" if option.choices() else "_files" if FILES.search(value) else " ")
        return quoted(f"*{name}[{text}]" + (action if value else ""))
    out = ["#compdef muse", f"# zsh completion of muse {version}; made from its --help", "_muse() {", "  local -a commands", "  commands=("]
    out += ["    " + quoted(f"{c.name}:{c.about}") for c in commands] + ["  )",
            "  if (( CURRENT == 2 )); then", "    _describe command commands", "    compadd -- --help --version", "    return", "  fi",
            "  local command=$words[2]", "  shift words", "  (( CURRENT-- ))", "  case $command in"]
    for command in commands:
        out += [f"  {command.name})", "    _arguments \\"] + [f"      {spec(*named)} \\" for named in command.named()] + ["      '*:file:_files' ;;"]
    return "\n".join(out + ["  esac", "}", '_muse "$@"'])


def fish(commands, version):
    none = "not __fish_seen_subcommand_from " + " ".join(c.name for c in commands)
    out = [f"# fish completion of muse {version}; made from its --help",
           f"complete -c muse -n '{none}' -l help -d 'the commands'", f"complete -c muse -n '{none}' -l version -d 'the version'"]
    for command in commands:
        out.append(f"complete -c muse -f -n '{none}' -a {command.name} -d {quoted(command.about)}")
        for name, value, option in command.named():
            takes = "" if not value else f" -x -a {quoted(' '.join(option.choices()))}" if option.choices() else " -r" if FILES.search(value) else " -x"
            text = option.text.replace("\\", "\\\\").replace("'", "\\'")
            out.append(f"complete -c muse -n '__fish_seen_subcommand_from {command.name}' -l {name[2:]}{takes} -d '{text}'")
    return "\n".join(out)


def main():
    form, muse, version = sys.argv[1:4]
    print({"man": man, "bash": bash, "zsh": zsh, "fish": fish}[form](read_help(muse), version))


if __name__ == "__main__":
    main()
