"""Which mail provider a delivery goes to: the first, or another when the first certainly did not take it."""

from collections.abc import Sequence

from services.notify.providers.mail import MailProvider


class MailRoute:
    """The providers in the order in which they are asked; the second is there for fail-over."""

    def __init__(self, providers: Sequence[MailProvider]) -> None:
        self._providers = providers

    def choose(self, asked: str = "", *, may_have_it: bool = False) -> MailProvider | None:
        """Whom to call next, after `asked` (empty: nobody yet) said no, or, if it may have the mail, said nothing.

        None when nobody may be called: who may have it would send it twice, and so would anyone else.
        """
        if may_have_it:
            return next((each for each in self._providers if each.name == asked and each.remembers_keys), None)
        ready = [each for each in self._providers if not each.gate.closed_for]
        # Who has just said no comes last.
        return min(ready or self._providers, key=lambda each: each.name == asked)
