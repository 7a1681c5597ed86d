"""What panels have in common: a name under which one is open at a time, and an end that leaves nothing behind."""

import ipywidgets as ipw

_OPEN: dict[str, "Panel"] = {}


class Panel(ipw.VBox):
    """A panel with a name: one made under the name of one that is open replaces it, so that a cell may run again.

    Subclasses call :meth:`_take_name` once their arguments are found to be right, and before they start threads.
    """

    _name = ""

    def close(self) -> None:
        """Take the panel away with all its widgets."""
        if _OPEN.get(self._name) is self:
            del _OPEN[self._name]
        held = _held_by(self)
        super().close()
        for widget in held:
            widget.close()

    def _take_name(self, name: str) -> None:
        if name in _OPEN:
            _OPEN[name].close()
        _OPEN[name] = self
        self._name = name


def close_all(*widgets: ipw.Widget) -> None:
    """Close widgets and all that they hold: ipywidgets would leave children, layouts and styles open for ever."""
    for widget in widgets:
        for one in (widget, *_held_by(widget)):
            one.close()


def _held_by(widget: ipw.Widget) -> list[ipw.Widget]:
    """Its children and theirs, and the layouts and styles of all."""
    found = [widget]
    for holder in found:  # grows meanwhile
        for name in holder.keys:
            value = getattr(holder, name, None)
            for held in value if isinstance(value, list | tuple) else (value,):
                if isinstance(held, ipw.Widget) and held not in found:
                    found.append(held)
    return found[1:]
