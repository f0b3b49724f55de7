"""The outcome of a renewal, and what follows for the index: noted, so that asking again costs nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hardneg.ab.report import AbPlan
from hardneg.config.command_words import command_line
from hardneg.errors import UserError
from hardneg.renew.plan import PLACE, Renewal, write_note
from hardneg.stages.run_stages import say


def limits_of(plan: AbPlan) -> dict[str, Any]:
    """What decides whether the new model may go live: the gate's limits, and what its interval counts as one draw."""
    return {**asdict(plan.gate), "cluster_positives": plan.cluster_positives}


@dataclass(frozen=True)
class RenewalOutcome:
    """The outcome: the live model's build of the data (`old`), the new model's (`new`), and what the gate says.

    `reasons` are those against the new one, empty where it may go live; `limits` are what it was judged by.
    """

    renewal: Renewal
    old: str
    new: str
    reasons: tuple[str, ...]
    limits: dict[str, Any]

    @classmethod
    def known(cls, renewal: Renewal, plan: AbPlan) -> RenewalOutcome | None:
        """Return the earlier note, if it was judged by these limits and its builds exist, in the live one's backend."""
        note = renewal.note
        if note.get("limits") != limits_of(plan):
            return None
        found = cls(renewal, note["old"], note["new"], tuple(note["reasons"]), note["limits"])
        needed = {found.old} if found.reasons else {found.old, found.new}
        backend = renewal.live.manifest.backend  # a live index that was moved to another one stays there
        there = {build.name for build in renewal.index.builds() if build.manifest.backend == backend}
        return found if needed <= there else None

    def take(self, switch: bool) -> int:
        """Switch if that is wanted and allowed, keep what may still be switched to, and log it; return the exit code.

        Raises `UserError` where another model went live meanwhile.
        """
        renewal, index = self.renewal, self.renewal.index
        old = index.named(self.old)
        wanted = old if self.reasons else index.named(self.new)
        # Before the switch: a live model without a note would be renewed with the data that it was trained on.
        self._note("refused" if self.reasons else "ready")
        with index.writing():
            if index.live().manifest.model != renewal.live.manifest.model:
                raise UserError(
                    f"another model went live while build {self.new} was judged against {renewal.live.name}; run the"
                    " same command again"
                )
            if switch and index.live().name != wanted.name:
                index.switch(wanted)
            index.put_beside(*(() if switch else (old, wanted)), by=PLACE)
            index.prune(renewal.index_cfg.keep, wanted)
        live = index.live().name
        if switch and not self.reasons:
            self._note("live")
        for reason in self.reasons:
            say(f"hardneg renew: gate: {reason}")
        if self.reasons:
            say(f"the live model stays; the report: {renewal.folder / 'report.html'}")
        if live == wanted.name and switch:
            say(f"live: build {live}; back again: {command_line('index', 'rollback', index.root)}")
        elif live != wanted.name:
            what = "the live model with all documents" if self.reasons else "ready"
            command = command_line("index", "switch", index.root, wanted.name)
            say(f"{what}: build {wanted.name}, beside the live one: {command}")
        return 1 if self.reasons else 0

    def _note(self, state: str) -> None:
        facts: dict[str, Any] = {"state": state, "task": self.renewal.task, "old": self.old, "new": self.new}
        facts |= {"reasons": list(self.reasons), "limits": self.limits}
        write_note(self.renewal.folder, facts)
