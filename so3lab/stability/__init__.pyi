from .book import Stability as Stability
from .criterion import Verdict as Verdict
from .criterion import judge as judge
from .criterion import survival_interval as survival_interval
from .study import reference_for as reference_for
from .study import study as study
