"""Does a molecule hold together in a model's dynamics, and does it move like its reference?

The protocol of "Forces are not enough" (Fu et al., TMLR 2023, section 4) as the SO3krates paper (Frank et al., Nat.
Commun. 15, 6539, 2024) uses it: several simulations at each temperature, each stable until a bond strays from its mean
length; how many survive, and how far their interatomic distances h(r) are from reference frames.
"""

from so3lab.stability.book import Stability
from so3lab.stability.criterion import Verdict, judge, survival_interval
from so3lab.stability.study import reference_for, study

__all__ = ["Stability", "Verdict", "judge", "reference_for", "study", "survival_interval"]
