#!/usr/bin/env bash
# Prints a Python that can make the environment: 3.11 or newer, with the venv module. Without one it says what it tried.
#
# It runs each candidate: a command of that name may be there and fail, as a shim of pyenv does.
# PYTHON, if set, is the only candidate.
set -euo pipefail

is_new='import sys; sys.exit(sys.version_info < (3, 11))'
absent= old= bare=
for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
  if ! command -v "$python" >/dev/null; then
    absent+=" $python"
  elif ! "$python" -c "$is_new" >/dev/null 2>&1; then
    old+=" $python"
  elif ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    bare+=" $python"
  else
    echo "$python"
    exit
  fi
done

{
  echo "no usable Python 3.11 or newer:"
  [ -z "$absent" ] || echo "  not found:$absent"
  [ -z "$old" ] || echo "  older than 3.11, or does not run:$old"
  [ -z "$bare" ] || echo "  without the venv module (Debian, Ubuntu: apt-get install python3-venv):$bare"
  echo "Install one, or name it: make PYTHON=/path/to/python3.12"
} >&2
exit 1
