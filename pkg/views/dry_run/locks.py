"""The locks of a dry run, which no other workflow wants: the state machine of the controller, answered at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from pkg.apis.flow.v1alpha1.locks import LockName
from pkg.controllers.workflow.planner.locks.calls import (
    CallAnswer,
    GivenBack,
    Held,
    Limits,
    LockCall,
    ReadLimits,
    Take,
    TakeAgain,
    Taken,
)
from pkg.controllers.workflow.planner.locks.holders import LockNeeds, LockView
from pkg.controllers.workflow.planner.locks.space import Space


class SimulatedLocks:
    """places: how many may hold each semaphore, by ConfigMap and key."""

    def __init__(self, key: str, uid: str, names: Iterable[LockName], places: Mapping[str, Mapping[str, str]]) -> None:
        """key, uid: of the workflow; names: all locks that its tasks may wait for."""
        self._key = key
        self._uid = uid
        self._names = tuple(names)
        self._places = places
        self._space = Space()
        self._versions = itertools.count(1)

    def view(self) -> LockView:
        """What the next plan reads."""
        return self._space.view(self._key, self._uid, self._names, now=0.0)  # a Lease counts at any time here

    def update(self, needs: LockNeeds, now: float) -> bool:
        """What a plan needs. Returns whether the next one has something new to read."""
        space = self._space
        space.update(self._key, self._uid, needs, now)
        while calls := space.take_calls():
            for call in calls:
                space.answered(call, self._answer(call), now)
        return bool(space.take_woken())

    def _answer(self, call: LockCall) -> CallAnswer:
        match call:
            case ReadLimits():
                return Limits(self._places.get(call.config_map))
            case Take():
                version = next(self._versions)
                return Taken(Held(call.place, call.holder, str(version), version, kinds=call.kinds))
            case TakeAgain(held):
                return Taken(held)
            case _:
                return GivenBack()
