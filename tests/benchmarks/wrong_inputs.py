"""Twenty wrong inputs through the command line: what was given, the sentence that came back, and how long it took.

``python tests/benchmarks/wrong_inputs.py`` prints a page; the exit status is 1 where a command did not refuse, or
answered with a traceback.
"""

import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WATER = "O 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"
FILES = {
    "water.xyz": f"3\n\n{WATER}",
    "two_charges.xyz": f"3\ncharge=1 total_charge=0\n{WATER}",
    "odd.xyz": f"3\ncharge=1 multiplicity=1\n{WATER}",
    "word.xyz": "3\n\nO 0 0 zero\nH 0.96 0 0\nH -0.24 0.93 0\n",
    "short.xyz": "3\n\nO 0 0 0\nH 0.96 0 0\n",
    "bohr.xyz": "3\n\nO 0 0 0\nH 1.814 0 0\nH -0.453 1.757 0\n",
    "nm.xyz": "3\n\nO 0 0 0\nH 0.096 0 0\nH -0.024 0.093 0\n",
    "ghost.xyz": f"4\n\n{WATER}X 3 3 3\n",
    "nan.xyz": "3\n\nO 0 0 nan\nH 0.96 0 0\nH -0.24 0.93 0\n",
    "element.pdb": "HETATM    1  Q1  LIG A   1       0.000   0.000   0.000  1.00  0.00          QQ\n",
    "molecule.mol2": "@<TRIPOS>MOLECULE\nwater\n3 2\n",
    "run.dcd": "CORD",
    "text.extxyz": '1\nProperties=species:S:1:pos:R:3:forces:R:3 energy="-13.6 eV"\nH 0 0 0 0 0 0\n',
}  # fmt: skip
"""By name, what stands in them; each is wrong in one way, but for the first."""
COMMANDS = (
    "data info two_charges.xyz",
    "data info odd.xyz",
    "data info word.xyz",
    "data info short.xyz",
    "data info bohr.xyz",
    "data info nm.xyz",
    "data info ghost.xyz",
    "data info nan.xyz",
    "data info element.pdb",
    "data info molecule.mol2",
    "data info water.xyz:3",
    "data info 'smiles:C(C'",
    "data info text.extxyz",
    "md ethanol run.dcd --steps 10 --out run.h5",
    "md ethanol ethanol --steps 10 --out run.xyz",
    "md ethanol ethanol --steps 10 --out /no/such/folder/run.h5",
    "md ethanol ethanol --steps 10 --timestep-fs 6 --out run.h5",
    "md nothing ethanol --steps 10 --out run.h5",
    "md ethanol water.xyz --charge -2 --steps 100 --out run.h5",
    "relax ethanol smiles:CCN",
)


def refusal(words: str, folder: Path) -> tuple[int, str, float]:
    """Exit status, last words on standard error, and seconds of a command that ought to fail."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "so3lab", *shlex.split(words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr.strip(), time.perf_counter() - began


def main() -> int:
    """Print the page; 1 where something was not refused in a sentence."""
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in FILES.items():
            (folder / file).write_text(content)
        for words in COMMANDS:
            status, said, seconds = refusal(words, folder)
            refused = status in (1, 2) and "Traceback" not in said
            wrong += not refused
            mark = "" if refused else "NOT REFUSED "
            said = said or "nothing was said"
            print(f"{mark}so3lab {words}   [{seconds:.1f} s]\n    {said}\n")
    print(f"{len(COMMANDS) - wrong} of {len(COMMANDS)} refused in a sentence")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
