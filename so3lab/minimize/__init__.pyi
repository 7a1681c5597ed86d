from .ase_optimizer import MoleculeOptimizer as MoleculeOptimizer
from .freedom import Held as Held
from .outcome import Relaxed as Relaxed
from .relaxation import minimize as minimize
from .relaxation import relax as relax
