"""Scripts and commands of one container as `command` and `args` of Kubernetes."""

from __future__ import annotations

from typing import Any, Final

#: Interpreters that take a script as an argument, and the flag for it.
_FLAGS: Final = {
    "sh": "-c",
    "bash": "-c",
    "ash": "-c",
    "dash": "-c",
    "zsh": "-c",
    "python": "-c",
    "python2": "-c",
    "python3": "-c",
    "node": "-e",
    "nodejs": "-e",
    "perl": "-e",
    "ruby": "-e",
    "php": "-r",
}
#: Runs a command and hands its output, besides printing it, to the termination message without the last line break.
_TEE: Final = (
    '"$@" > /tmp/.result; code=$?; cat /tmp/.result;'
    ' printf %s "$(tail -c 4096 /tmp/.result)" > /dev/termination-log; exit $code'
)


def script_command(interpreter: list[str], script: str) -> list[str] | None:
    """The command that runs a script; None for an interpreter that takes a script only from a file."""
    if not interpreter:
        return None
    name = interpreter[0].rsplit("/", 1)[-1]
    flag = _FLAGS.get(name if name in _FLAGS else name.rstrip("0123456789."))
    return None if flag is None else [*interpreter, flag, script]


def by_shebang(script: str) -> tuple[list[str], str]:
    """The interpreter that the first line of a script names, and the rest of it. Default: sh that stops at errors."""
    first, _, rest = script.partition("\n")
    if not first.startswith("#!"):
        return ["sh"], f"set -e\n{script}"
    words = first[2:].split()
    if words and words[0].rsplit("/", 1)[-1] == "env":
        words = [word for word in words[1:] if word != "-S"]
    return words, rest


def with_result(container: dict[str, Any]) -> None:
    """Lets a container leave what it prints as its termination message. It needs a shell in the image."""
    container["command"] = ["sh", "-c", _TEE, "--", *container.get("command", [])]
