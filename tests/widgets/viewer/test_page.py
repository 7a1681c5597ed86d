"""The files that make a viewer's page are one module: no name twice, none used before its file, one export."""

import itertools
import re
from pathlib import Path

from so3lab_widgets.packed_script import with_libraries
from so3lab_widgets.viewer import page

FOLDER = Path(page.__file__).parent
LITERAL = re.compile(r"""//.*|"[^"\n]*"|'[^'\n]*'""")


def source(part: str) -> str:
    return (FOLDER / part).read_text("utf-8")


def declared(script: str) -> list[str]:
    """Names at the top of a script, those of a list such as ``const A = 1, B = 2`` included."""
    names = []
    for line in script.splitlines():
        if found := re.match(r"(?:const|let) (.*)|(?:async )?(?:function|class) (\w+)", line):
            names += (
                [found[2]]
                if found[2]
                else re.findall(r"\b([A-Za-z_]\w*)(?: =(?!=)|;)", LITERAL.sub("", found[1]).split("=>")[0])
            )
    return names


def test_no_name_is_declared_twice_or_used_before_its_file():
    scripts = {part: source(part) for part in page.PARTS}
    names = {part: declared(script) for part, script in scripts.items()}
    shared = [page.looks_script(), with_libraries("")]
    everything = [*itertools.chain.from_iterable(map(declared, shared)), *itertools.chain.from_iterable(names.values())]
    assert {"STYLES", "STAGE", "dot", "measured", "Scene", "Controls", "REPORT_MS"} <= set(everything)
    assert len(everything) == len(set(everything))
    for number, part in enumerate(page.PARTS):
        words = set(re.findall(r"\w+", LITERAL.sub("", scripts[part])))
        later = {name for other in page.PARTS[number + 1 :] for name in names[other]}
        assert not words & later, f"{part} uses what a later part declares"


def test_the_module_is_all_parts_with_one_export_at_the_end():
    module = page.page_module()
    assert all(source(part) in module for part in page.PARTS)
    assert len(re.findall(r"^export ", module, re.MULTILINE)) == 1
    assert not re.search(r"^import ", module, re.MULTILINE), "nothing is fetched beside it"
    assert {path.name for path in FOLDER.glob("*.js")} == set(page.PARTS), "no script lies about unused"
