"""Builds the reference of the public names, the commands and the schemas: python .ci/reference.py FOLDER."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pdoc.doc
import pdoc.docstrings
import pdoc.render
import typer

from actionstream.cli.main import app

ROOT = Path(__file__).parents[1]
ROOMS = ("actionstream", *(f"actionstream.{room}" for room in ("evaluation", "kernels", "models", "scoring")))
SCHEMAS = {
    "Lines of watch --json": ROOT / "stream" / "sinks" / "lines.schema.json",
    "cameras.toml of serve": ROOT / "stream" / "serve" / "cameras.schema.json",
}
FIELD = re.compile(r"(\w+)\s{2,}(\S.*)")


def main() -> None:
    """Write a page for each room, one for the commands and one for the schemas."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pdoc.docstrings.convert = lambda docstring, *_: as_markdown(docstring)
    pdoc.render.configure(show_source=False, include_undocumented=True, search=False)
    modules = [resolved(room) for room in ROOMS]
    modules += [page("commands", "\n\n".join(commands())), page("schemas", "\n\n".join(schemas()))]
    pages = {module.__name__: pdoc.doc.Module(module) for module in modules}
    for name, made in pages.items():
        target = folder / f"{name.replace('.', '/')}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(pdoc.render.html_module(made, pages), encoding="utf-8")
    (folder / "index.html").write_text(pdoc.render.html_index(pages), encoding="utf-8")
    print(f"{folder / 'index.html'}: {len(pages)} pages")


def resolved(room: str) -> ModuleType:
    """A package with its public names, which are otherwise imported when they are first used."""
    module = import_module(room)
    vars(module).update({name: getattr(module, name) for name in module.__all__})
    return module


def page(name: str, text: str) -> ModuleType:
    """A page of Markdown."""
    module = ModuleType(name, text)
    module.__all__ = []  # type: ignore[attr-defined]
    return module


def as_markdown(docstring: str) -> str:
    """Lists of fields ("name   what it is", and indented lines that go on) as lists of Markdown."""
    lines: list[str] = []
    within = False
    for line in docstring.splitlines():
        field = FIELD.fullmatch(line)
        if field:
            lines += [""] * (not within) + [f"- `{field[1]}` {field[2]}"]
        elif within and line.startswith("  "):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
        within = bool(field) or (within and line.startswith("  "))
    return "\n".join(lines)


def commands() -> Iterator[str]:
    """Each command, its arguments and its options, as the command line has them."""
    yield "The commands of `actionstream`, from the command line itself."
    root = typer.main.get_command(app)
    yield from described("actionstream", root)


def described(name: str, command: Any) -> Iterator[str]:
    inside = getattr(command, "commands", {})
    context = command.context_class(command, info_name=name)
    if not inside:
        usage = " ".join([name, *command.collect_usage_pieces(context)])
        yield f"## {name}\n\n    {usage}\n\n{command.help}"
        records = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
        yield "\n".join(f"- `{names}`  \n  {plain(text)}" for names, text in records)
        if command.epilog:
            yield command.epilog
    for inner, each in inside.items():
        yield from described(f"{name} {inner}", each)


def plain(text: str) -> str:
    """Text in which nothing is a sign of Markdown."""
    return re.sub(r"([\\`*_<>\[\]|])", r"\\\1", " ".join(text.split()))


def schemas() -> Iterator[str]:
    """The JSON Schemas of what goes out, and of what is configured."""
    yield "JSON Schemas: of the lines that go out, and of the file of cameras."
    for title, file in SCHEMAS.items():
        text = json.dumps(json.loads(file.read_text()), indent=1)
        yield f"## {title}\n\n`{file.relative_to(ROOT)}`\n\n```json\n{text}\n```"


if __name__ == "__main__":
    main()
