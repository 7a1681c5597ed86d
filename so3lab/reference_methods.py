"""Which quantum-chemical methods label our data? GFN2-xTB (tblite) and PBE/def2-SVP (PySCF).

Both engines are optional: ``pip install 'so3lab[labels]'``. Each function here makes an ASE calculator.
"""

from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes

from so3lab import units

_INSTALL = "install it with: pip install 'so3lab[labels]'"


def gfn2(accuracy: float = 0.01) -> Calculator:
    """GFN2-xTB as an ASE calculator.

    Args:
        accuracy: tblite's accuracy; 0.01 converges the energy to 1e-8 hartree, 1 is tblite's default.

    Raises:
        ImportError: If tblite is missing.
    """
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise ImportError(f"GFN2-xTB needs the package tblite; {_INSTALL}") from error
    return TBLite(method="GFN2-xTB", accuracy=accuracy, max_iterations=500, verbosity=0)


def pbe() -> Calculator:
    """PBE/def2-SVP with density fitting as an ASE calculator.

    Raises:
        ImportError: If PySCF is missing.
    """
    return PySCFDensityFunctional(functional="PBE", basis="def2-svp")


class PySCFDensityFunctional(Calculator):
    """Closed-shell Kohn-Sham DFT with density fitting: energies and forces of neutral molecules.

    The forces include the response of the integration grid, without which they do not sum to zero.
    Each calculation starts from the density of the last one on the same atoms, and again from atomic
    densities if that does not converge.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(
        self, functional: str, basis: str, grid_level: int = 3, convergence_hartree: float = 1e-9
    ) -> None:
        super().__init__()
        try:
            import pyscf.dft
            import pyscf.gto
        except ImportError as error:
            raise ImportError(f"{functional}/{basis} needs the package pyscf; {_INSTALL}") from error
        self._pyscf = pyscf
        self._functional, self._basis = functional, basis
        self._grid_level, self._convergence = grid_level, convergence_hartree
        self._last: tuple[tuple[str, ...], Any] | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``results`` with energy (eV) and forces (eV/Å).

        Raises:
            CalculationFailed: If the self-consistent field does not converge.
        """
        super().calculate(atoms, properties or ["energy"], system_changes)
        field = self._converged_field(self.atoms)
        gradient = field.nuc_grad_method()
        gradient.grid_response = True
        self.results = {
            "energy": float(field.e_tot) * units.hartree,
            "forces": -gradient.kernel() * (units.hartree / units.bohr),
        }

    def _converged_field(self, atoms: Atoms) -> Any:
        symbols = tuple(atoms.get_chemical_symbols())
        molecule = self._pyscf.gto.M(
            atom=list(zip(symbols, atoms.positions / units.bohr, strict=True)),
            unit="Bohr",
            basis=self._basis,
            verbose=0,
        )
        field = self._pyscf.dft.RKS(molecule, xc=self._functional).density_fit()
        field.grids.level = self._grid_level
        field.conv_tol = self._convergence
        last, self._last = self._last, None
        guesses = ([last[1]] if last is not None and last[0] == symbols else []) + [None]
        for density in guesses:
            field.kernel(dm0=density)
            if field.converged:
                self._last = (symbols, field.make_rdm1())
                return field
        raise CalculationFailed(
            f"the self-consistent field of {self._functional}/{self._basis} must converge to "
            f"{self._convergence} hartree, and did not in {field.max_cycle} iterations"
        )
