"""Which minima does a panel show: those of a search as they come, of a database, or of memory, and by which rule?"""

import threading
from dataclasses import replace

from ase import Atoms

from so3lab.landscape import Landscape
from so3lab.minima import DuplicateRule, Minimum
from so3lab_widgets.panels.minima_browser import MinimaBrowser
from so3lab_widgets.panels.minima_keeping import check_compound, in_memory
from so3lab_widgets.panels.minima_reading import gathered, is_there
from so3lab_widgets.panels.search_run import SearchRun


class MinimaSource:
    """Takes minima from where they are kept, and has them shown.

    Args:
        run: The search of the panel; while it runs nothing else is taken.
        browser: Shows them.

    Attributes:
        where: The database of what is shown; nothing for memory.
    """

    def __init__(self, run: SearchRun, browser: MinimaBrowser):
        self._run, self._browser = run, browser
        self.where, self._searching = "", False
        self._relaxed: list[Minimum] = []
        self._turn = threading.RLock()  # what a search found may not be drawn over what was opened since

    def read(self, where: str) -> Landscape:
        """What a database holds: the minima of all its searches, each once.

        Raises:
            ValueError: If a search runs, there is no such database, or its searches do not go together.
        """
        self._run.refuse_while_running()
        if not is_there(where):
            raise ValueError(f"there is no database {where}; Start makes one when it stands in the field")
        found = gathered(where, (), None)
        if not found.minima:
            raise ValueError(f"{where} holds no minima yet; Start searches for some, with {where} in the field")
        return found

    def take(self, landscape: Landscape, where: str) -> None:
        """Show minima that come from there.

        Raises:
            ValueError: If a search runs, one that was begun while they were read or relaxed.
        """
        self._run.refuse_while_running()
        with self._turn:
            self._searching, self.where = False, where
            self._browser.take(landscape)

    def gather(self, rule: DuplicateRule) -> None:
        """Gather all that is stored anew, by another rule for duplicates.

        Raises:
            ValueError: If a search runs, or nothing is there.
        """
        self._run.refuse_while_running()
        self.take(gathered(self.where, self._in_memory(), rule), self.where)

    def relax(self, atoms: Atoms, database: str, rule: DuplicateRule) -> Minimum:
        """Relax a structure, and keep what comes out among the minima that are shown.

        Args:
            atoms: Of their compound.
            database: Where it is kept when none are shown yet.
            rule: By which all are gathered anew.

        Raises:
            ValueError: If it is of another compound, relaxes to no minimum of its own, or a search runs.
        """
        shown = self._browser.views.minima
        where = self.where if shown else database
        check_compound(shown, atoms)
        found = self._run.relax(atoms, where)
        if not where:
            self._relaxed.append(replace(found, parent=None))
        self.take(gathered(where, self._in_memory(), rule), where)
        return found

    def follow_search(self) -> None:
        """Show what a search finds from now on; what joins minima is not known meanwhile."""
        self._searching = True
        self._browser.forget()

    def refresh(self) -> None:
        """Bring what is shown up to date, with what a search has found since."""
        with self._turn:
            if self._searching:
                self.where = self._run.where
            self._browser.draw(self._run.minima if self._searching else self._browser.views.minima)

    def _in_memory(self) -> list[Minimum]:
        return in_memory([] if self._run.where else self._run.minima, self._relaxed)
