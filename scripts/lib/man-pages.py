#!/usr/bin/env python3
"""Writes man pages out of what the commands say of themselves.

usage: cairn --experimental-dump-help | man-pages.py VERSION DIRECTORY

A page for the program, and one for each of its commands with all that is below
it: cairn.1, cairn-run.1, cairn-task.1 and so on.
"""
import json
import pathlib
import sys


def plain(text):
    """Text for roff: no line is taken for a request, no dash for a hyphen."""
    lines = []
    for line in (text or "").replace("\\", "\\e").replace("-", "\\-").replace("`", "").splitlines():
        lines.append("\\&" + line if line[:1] in (".", "'") else line)
    return "\n".join(lines)


def option_names(argument):
    names = []
    for name in argument.get("names") or []:
        names.append(("--" if name["kind"] == "long" else "-") + name["name"])
    return names


def value_of(argument):
    return argument.get("valueName") or (argument.get("preferredName") or {}).get("name") or "value"


def synopsis(words, command):
    parts = [".B " + plain(" ".join(words))]
    for argument in shown(command):
        kind, value = argument["kind"], plain(value_of(argument))
        many = "..." if argument.get("isRepeating") else ""
        if kind == "positional":
            text = f"\\fI{value}\\fR{many}"
        else:
            name = plain((option_names(argument) or ["?"])[-1])
            text = f"\\fB{name}\\fR" + ("" if kind == "flag" else f" \\fI{value}\\fR") + many
        parts.append(f"[{text}]" if argument.get("isOptional") else text)
    return "\n".join(parts)


def shown(command):
    """What is told of; what every command has is told once, on the program's page."""
    every = {"--help", "--version"} if command["commandName"] != "cairn" else set()
    return [a for a in command.get("arguments") or [] if a.get("shouldDisplay", True) and not every & set(option_names(a))]


def arguments(command):
    lines = []
    for argument in shown(command):
        kind, value = argument["kind"], plain(value_of(argument))
        if kind == "positional":
            head = f"\\fI{value}\\fR"
        else:
            head = ", ".join(f"\\fB{plain(name)}\\fR" for name in option_names(argument))
            if kind == "option":
                head += f" \\fI{value}\\fR"
        text = plain(argument.get("abstract"))
        default = argument.get("defaultValue")
        if default and kind == "option" and f"{default}" not in text:
            text += f" (default: {plain(default)})"
        values = argument.get("allValueStrings") or argument.get("allValues")
        if values:
            text += f" One of: {plain(', '.join(values))}."
        lines += [".TP", head, text or "\\&"]
    return lines


def told(command):
    """A command's own words."""
    lines = []
    if command.get("abstract"):
        lines += [plain(command["abstract"])]
    if command.get("discussion"):
        lines += [".PP", plain(command["discussion"])]
    return lines


def subcommands(command):
    return [c for c in command.get("subcommands") or [] if c["commandName"] != "help" and c.get("shouldDisplay", True)]


def page(words, command, version):
    name = "-".join(words)
    lines = [f'.TH "{name.upper()}" 1 "" "cairn {version}" "Cairn"', ".SH NAME"]
    abstract = (command.get("abstract") or name).rstrip(".")
    lines += [f"{plain(name)} \\- {plain(abstract[:1].lower() + abstract[1:])}"]
    below = subcommands(command)
    lines += [".SH SYNOPSIS"]
    if below:
        lines += [f".B {plain(' '.join(words))}", "\\fIcommand\\fR [\\fIoptions\\fR]"]
    else:
        lines += [synopsis(words, command)]
    lines += [".SH DESCRIPTION"] + told(command)
    if below:
        lines += [".SH COMMANDS"]
        for sub in below:
            if len(words) == 1:
                lines += [".TP", f"\\fB{plain(sub['commandName'])}\\fR", plain(sub.get("abstract"))]
            else:
                full = words + [sub["commandName"]]
                lines += [f'.SS "{plain(" ".join(full))}"', synopsis(full, sub), ".PP"] + told(sub) + arguments(sub)
    elif shown(command):
        lines += [".SH OPTIONS"] + arguments(command)
    if len(words) == 1:
        lines += [
            ".SH ENVIRONMENT",
            ".TP", "\\fBCAIRN_STATE\\fR", "The manager's state directory, where commands find its ledger and address.",
            ".TP", "\\fBCAIRN_MANAGER\\fR", "The manager's address, in place of the one in the state directory.",
            ".TP", "\\fBNO_COLOR\\fR", "Set to anything: no colours and no bold.",
            ".SH FILES",
            ".TP", "\\fI/etc/cairn\\fR", "The fleet, the policies, and what the services are started with.",
            ".TP", "\\fI/var/lib/cairn\\fR", "State of the services, images, and the store of a machine on its own.",
            ".TP", "\\fI/usr/share/doc/cairn/docs\\fR", "The documents.",
        ]
    lines += [".SH SEE ALSO"]
    others = [f"\\fBcairn\\-{plain(c['commandName'])}\\fR(1)" for c in below] if len(words) == 1 else ["\\fBcairn\\fR(1)"]
    lines += [", ".join(others)]
    return name, "\n".join(lines) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    version, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    root = json.load(sys.stdin)["command"]
    pages = [(["cairn"], root)] + [(["cairn", c["commandName"]], c) for c in subcommands(root)]
    for words, command in pages:
        name, text = page(words, command, version)
        (directory / f"{name}.1").write_text(text)


main()
