from .calculator import So3labCalculator as So3labCalculator
from .potential import ENERGY_TERMS as ENERGY_TERMS
from .potential import Potential as Potential
from .potential import Result as Result
