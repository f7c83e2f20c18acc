"""Runs a scenario: the real controller in the simulated world, with every pass judged by the reference evaluator.

The schedule's bytes choose what happens next: a pass over a stale cache, one event, a crash at the n-th call, a job
deleted by hand, a switch of suspend ... After the last byte nothing goes wrong any more, and the workflow has to end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final
from zlib import crc32

import msgspec

from pkg.apis.flow.v1alpha1 import durations, labels, records, validation
from pkg.apis.flow.v1alpha1.phases import FINAL, WORKFLOW_MOVES, Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import (
    WORKFLOWS,
    WORKTEMPLATES,
    ApprovalDecision,
    Flow,
    FlowRecord,
    FlowStatus,
    GivenApproval,
    Shutdown,
    Workflow,
    WorkflowStatus,
    WorkTemplate,
)
from pkg.apis.meta import ObjectMeta, seconds
from pkg.controllers.workflow.planner.actions import CreateJob, Plan
from pkg.controllers.workflow.planner.control.end import PATIENCE
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.outputs.record import outputs_by_index
from pkg.controllers.workflow.planner.plan import plan as real_plan
from pkg.controllers.workflow.planner.progress import Progress, TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot
from tests.manifests import decoded
from tests.property.controller import Controller
from tests.property.objects import APPLYING, DELETING, MAPS, Thing, judge_recorded_objects
from tests.property.reference import EARLY, GONE, LATE, At, Claim, JobSeen, Observation, Reference
from tests.property.scenarios import Scenario, Story, Tape, story_of
from tests.property.world import JOBS, NAME, UID, WIDGETS, Died, Life, Trap, World

QUIET_STEPS: Final = 1500
MANY: Final = 1000
"""Keys that wait, of other workflows: status is then written in the longest window."""
_MOVES: Final[dict[WorkflowPhase, set[WorkflowPhase]]] = {now: {now, *then} for now, then in WORKFLOW_MOVES.items()}


class Simulation:
    """One example from start to end; every broken invariant is an AssertionError that says which."""

    #: The spec stays, and nothing is restarted.
    judges_outputs = True

    def __init__(self, story: Story, schedule: bytes, *, calm: bool = False) -> None:
        self.story = story
        self.calm = calm
        self.tape = Tape(schedule)
        assert validation.validate_workflow(self.story.spec) == (), "a scenario must be a valid workflow"
        self.world = self._make_world()
        self.world.backlog = MANY if crc32(schedule) % 2 else 0
        self.reference = self._make_reference()
        for raw in self.story.templates:
            template = decoded(raw, WorkTemplate)
            self.world.add(WORKTEMPLATES, template)
        self.world.add(WORKFLOWS, Workflow(ObjectMeta(name=NAME, uid=UID, generation=1), self.story.spec))
        self.world.log.setdefault(JOBS, [])
        self.world.log.setdefault(WIDGETS, [])
        for gvr, name in self.story.there:
            self.world.things.make(gvr, name, {"metadata": {}})
        self.world.on_status = self.on_status
        self.world.list_of = self._lists
        self.world.note = self._note
        self.finals: dict[At, str] = {}
        self.recorded: dict[At, tuple[str, int]] = {}
        #: Every attempt that status has recorded, of tasks that apply or delete objects.
        self.shown: set[tuple[At, int]] = set()
        self.outputs: dict[At, tuple[tuple[str, str], ...]] = {}
        self.phase: WorkflowPhase | None = None
        #: What the jobs of `finally` flows know of the end.
        self.end = ""
        self.is_end_recorded = False
        #: When every flow without `finally` was seen to be final.
        self.over_since = float("inf")
        self.trail: list[str] = []
        self.released_at: dict[tuple[At, int], float] = {}
        self.controller = self._make_controller(0)
        self.statistics: Counter[str] = Counter()

    # The parts of the run; subclasses replace them.

    def _make_world(self) -> World:
        return World(self.story.fate_of)

    def _make_reference(self) -> Reference:
        return Reference(self.story.spec, self.story.services)

    def _make_controller(self, lag: int) -> Controller:
        return Controller(self.world, self.story.patience, lag)

    def _lists(self, flow: str, index: int, attempt: int) -> tuple[str, str]:
        """What a job hands out when it succeeds, and later. When it is read depends on time."""
        first = self.story.list_of(flow, index, attempt)
        return first, "" if self.calm else self.story.list_of(flow, index, attempt, is_later=True)

    # The run

    def run(self) -> None:
        self.world.plan = self.plan
        try:
            while not self.tape.is_over:
                self._act(self.tape.next())
            self._quiet()
        except Exception as error:
            error.add_note("the last steps:\n  " + "\n  ".join(self.trail[-60:]))
            error.add_note("spec: " + msgspec.json.encode(self.story.spec).decode())
            raise

    def _note(self, text: str) -> None:
        self.trail.append(f"t={self.world.now - 1_800_000_000:.2f} {text}")

    def _act(self, choice: int) -> None:
        if self.calm and choice % 24 in (14, 16):
            self._settle()
            return
        match choice % 24:
            case 1 | 2 | 3:
                self._pass("a pass over a stale cache")
            case 4 | 5:
                self._deliver_one()
            case 6 | 7 | 8 | 9 as number:
                self._wait(to_next=number >= 8)
            case 10:
                self._crash("killed between passes")
            case 11 | 12 | 13 as number:
                self._arm(is_death=number != 13)
            case 14:
                self._delete_a_job()
            case 15 if not self._is_ended():
                self.world.set_spec(suspend=not self.world.workflow.spec.suspend)
                self._note(f"suspend {self.world.workflow.spec.suspend}")
            case 16 if self.tape.one_in(4) and not self._is_ended():
                self._shut_down()
            case 17 | 18 as number:
                self._repeat(is_whole=number == 17)
            case 19:
                self._depose()
            case 20 | 21 if self._asking() and not self.calm and not self._is_ended():
                self._decide_something()
            case 22 if not self.calm:
                self._begin_again()
            case _:
                self._settle()

    def _deliver_one(self) -> None:
        behind = self.controller.behind()
        if behind:
            gvr = behind[self.tape.below(len(behind))]
            self.controller.deliver(gvr, 1)
            self._note(f"one event of {gvr.resource}")

    def _wait(self, *, to_next: bool) -> None:
        """Time passes: until the next change of a job, or a moment."""
        if not to_next:
            self.world.advance(self.world.now + self.tape.pick(0.01, 0.1, 0.5, 2.0))
            self._note("time passes")
        elif self.world.next_due is not None:
            self.world.advance(self.world.next_due)
            self._note("a job moves on")

    def _arm(self, *, is_death: bool) -> None:
        """One of the next calls kills the controller, or is answered with an error."""
        tape = self.tape
        if is_death:
            trap = Trap(1 + tape.below(6), "die", tape.one_in(2))
        else:
            trap = Trap(1 + tape.below(6), tape.pick("transient", "throttled", "unserved"), False)
            trap.after = trap.kind == "transient" and tape.one_in(2)
        self.world.traps.append(trap)
        self._note(f"armed {trap}")

    def _delete_a_job(self) -> None:
        there: list[Life | Thing] = [*self.world.jobs(), *self.world.things.there()]
        if there:
            found = there[self.tape.below(len(there))]
            if isinstance(found, Life):
                self.world.delete_job(found, "somebody")
            else:
                self.world.things.delete(found, "somebody")
            self._note(f"somebody deletes {found.name}")

    def _asking(self) -> list[Flow]:
        return [flow for flow in self.story.spec.flows if flow.approval is not None]

    def _decide_something(self) -> None:
        """A person decides about a flow, or about one of its tasks, whether it asks or not."""
        asking = self._asking()
        if asking:
            flow = asking[self.tape.below(len(asking))]
            index = self.tape.below(max(1, flow.replicas)) if self.tape.one_in(2) else None
            self._give(flow, index, self.tape.pick(ApprovalDecision.APPROVE, ApprovalDecision.REJECT))

    def _give(self, flow: Flow, index: int | None, decision: ApprovalDecision) -> None:
        given = GivenApproval(flow=flow.name, decision=decision, index=index)
        self.world.set_spec(approvals=(*self.world.workflow.spec.approvals, given))
        self._note(f"somebody decides: {given}")

    def _decide_all(self) -> bool:
        """People decide about everything that waits for them; False if nothing does."""
        open_flows = {at[0] for at, task in self.reference.tasks.items() if task.state == "Waiting"}
        waiting = [flow for flow in self._asking() if flow.name in open_flows]
        for flow in waiting:
            self._give(flow, None, self.tape.pick(ApprovalDecision.APPROVE, ApprovalDecision.REJECT))
        return bool(waiting)

    def _shut_down(self) -> None:
        now = self.world.workflow.spec.shutdown
        if now is None or self.tape.one_in(2):
            how = self.tape.pick(Shutdown.STOP, Shutdown.TERMINATE)
            if now is not Shutdown.TERMINATE:
                self.world.set_spec(shutdown=how)
                self._note(f"shutdown {how}")

    def _repeat(self, *, is_whole: bool) -> None:
        """A kind is listed again, or one of its events is delivered twice."""
        gvr = self.tape.pick(JOBS, WIDGETS, WORKFLOWS)
        if gvr != WORKFLOWS and gvr not in self.controller.informers.stores:
            return
        if is_whole:
            self.controller.relist(gvr)
            self._note(f"relist of {gvr.resource}")
        else:
            self.controller.redeliver(gvr, self.tape.below(6))
            self._note(f"an event of {gvr.resource} again")

    def _begin_again(self) -> None:
        """A process that begins reads the jobs of the workflow before the list of all jobs, which takes its time. It
        leads at once, or another one goes on meanwhile.
        """
        if self.tape.one_in(2):
            self._hand_over()
        else:
            self._crash("killed, and the lists of the next process take long")
            self._pass("a pass without jobs")
            self._read_first(self.controller)
            if self.tape.one_in(2):
                self._wait(to_next=True)
            self._read_first(self.controller)
        for _ in range(self.tape.below(5)):
            self.controller.deliver(WORKFLOWS)
            self._pass("a pass before the list")
            if self.tape.one_in(2):
                self._wait(to_next=True)

    def _hand_over(self) -> None:
        """To a spare that has read the list of jobs, or those of the workflow alone; the leader did something since, of
        which the spare has seen a part.
        """
        leader, spare = self.controller, self._make_controller(self.tape.below(4))
        spare.is_leader = False
        for gvr in (JOBS, WIDGETS):
            spare.informers.ensure(gvr)
            if self.tape.one_in(2):
                spare.deliver(gvr)
        self._read_first(spare)
        self._read_first(spare)
        for _ in range(self.tape.below(6)):
            if self.tape.one_in(2):
                self._wait(to_next=True)
            self.controller.deliver_all()
            self._pass("a pass of the leader before")
            if self.controller is not leader:
                return  # it was killed in a call
        self._note("the spare leads")
        self.world.traps.clear()
        self.reference.lose_memory(self.world.now)
        self.controller = spare
        spare.lead()
        for gvr in (JOBS, WIDGETS, WORKFLOWS):
            spare.deliver(gvr, self.tape.below(4))

    def _read_first(self, controller: Controller) -> None:
        for gvr in (JOBS, WIDGETS):
            if read := controller.read_first(gvr):
                self._note(f"{read} of {gvr.resource}, before the list")

    def _settle(self) -> None:
        """Nothing goes wrong: all events are delivered, then what is due is done; if nothing is due, time passes."""
        self.controller.deliver_all()
        if self.controller.is_due():
            self._pass("a pass")
            return
        due = self.controller.next_due()
        if due is not None:
            self.world.advance(due)
            self._note("time passes until something is due")

    def _pass(self, why: str) -> None:
        self._note(why)
        self.statistics["passes"] += 1
        try:
            self.controller.reconcile()
        except Died:
            self._crash("killed in a call")
            return
        again = self.controller.next_plan()
        if again is not None:
            left = [creation.name for creation in again.creations]
            assert not left, f"the pass left {left} unmade, and nothing wakes the next"

    def _crash(self, why: str) -> None:
        self._note(why)
        self.statistics["crashes"] += 1
        self.world.traps.clear()
        self.reference.lose_memory(self.world.now)
        self.controller = self._make_controller(self.tape.below(4))

    def _depose(self) -> None:
        """Another may have led in between: memory is dropped, the caches stay."""
        self._note("deposed, and leader again")
        self.controller.is_leader = False
        self.controller.reconcile()
        self.controller.lead()
        self.reference.lose_memory(self.world.now)

    def _is_ended(self) -> bool:
        return self.phase is not None and self.phase.is_final

    def _quiet(self) -> None:
        """Nothing goes wrong any more: the workflow ends in a bounded number of steps, and then stays as it is."""
        self.world.traps.clear()
        if self.world.workflow.spec.suspend:
            self.world.set_spec(suspend=False)
        self._note("the world is quiet")
        steps = 0
        while not self._is_ended():
            steps += 1
            assert steps < QUIET_STEPS, "the workflow does not end"
            self.controller.deliver_all()
            if not self.controller.is_due() and self.controller.next_due() is None:
                if self._decide_all():
                    continue
                raise AssertionError(
                    f"nothing more will happen, and the workflow is {self.phase}: {self._open_tasks()}"
                )
            self._settle()
        for _ in range(400):
            self.controller.deliver_all()
            if not self.controller.is_due():
                due = self.controller.next_due()
                if due is None:
                    break
            self._settle()
        else:
            raise AssertionError("the controller finds no rest after the end")
        self._judge_the_end()

    def _open_tasks(self) -> dict[At, str]:
        return {at: task.state for at, task in self.reference.tasks.items() if not task.is_final}

    def _judge_the_end(self) -> None:
        assert self.phase is not None
        assert self.reference.phase == self.phase, f"the reference says {self.reference.phase}, status {self.phase}"
        spec = self.world.workflow.spec
        living = [life for life in self.world.jobs() if life.deleted is None]
        deletes = spec.job_retain_policy == "delete" or (
            spec.job_retain_policy == "delete-on-success" and self.phase is WorkflowPhase.SUCCEEDED
        )
        if deletes:
            assert not living, f"jobRetainPolicy {spec.job_retain_policy} leaves {[life.name for life in living]}"
        for life in living:
            task = self.reference.tasks[life.flow, life.index]
            is_over = life.ended in ("ok", "fail")
            assert is_over or (task.is_service and task.state == "Succeeded"), f"{life.name} still runs after the end"

    # Every pass

    def plan(self, snapshot: Snapshot) -> Plan:
        made = real_plan(snapshot)
        graph = snapshot.graph
        recorded = snapshot.workflow.status.phase
        if recorded is not None and recorded.is_final:
            assert not made.creations
            self._judge_after_the_end(snapshot, made)
            return made
        assert isinstance(graph, Graph)
        seen = self._observe(snapshot, graph, made.progress)
        self.reference.step(seen)
        self._compare(graph, made.progress, seen)
        self._judge_creations(snapshot, made)
        if self.statistics["passes"] % 2:
            self._compare_without_memory_of_what_changed(snapshot, made)
        return made

    def _judge_after_the_end(self, snapshot: Snapshot, made: Plan) -> None:
        is_news = snapshot.workflow.status.observed_generation != snapshot.workflow.metadata.generation
        assert is_news or made.patch is None, "a status is written after the end"

    def _observe(self, snapshot: Snapshot, graph: Graph, progress: Progress) -> Observation:
        claims: dict[At, Claim] = {}
        for at, task in self.reference.tasks.items():
            if self.reference.is_uncounted(at[0]):
                continue  # it can fail only by its list, which the reference judges itself
            real = progress.flows[graph.by_name[at[0]]].tasks[at[1]]
            is_gone = real.phase is Phase.SUCCEEDED and self._template(at[0]) in DELETING
            if task.is_final or not (is_gone or real.phase in (Phase.BACKOFF, Phase.FAILED)):
                continue
            if real.phase is Phase.SUCCEEDED:
                claims[at] = Claim(real.attempt, GONE)
                self._judge_gone(at, real.attempt)
                continue
            if real.reason in (*EARLY, *LATE) and (real.attempt, real.reason) != (task.attempt, task.reason):
                claims[at] = Claim(real.attempt, real.reason)
                self._judge_claim(snapshot, at, claims[at])
        workflow = snapshot.workflow
        spec, status = workflow.spec, workflow.status
        is_overdue = False
        is_paused = spec.suspend or snapshot.is_held or bool(snapshot.awaited)
        if spec.timeout is not None and status.start_time and not is_paused:
            record = records.record_of(status)
            paused: float = record.suspended_seconds
            if record.suspended_at:
                paused += max(0.0, snapshot.now - seconds(record.suspended_at))
            is_overdue = seconds(status.start_time) + paused + durations.parse(spec.timeout) <= snapshot.now
        return Observation(
            now=snapshot.now,
            spec=spec,
            jobs=_by_task(graph, snapshot.jobs),
            gone=_by_task(graph, snapshot.gone),
            # Probes that ask the same share one answer.
            passed=frozenset(
                (node.name, probe.path, key.index)
                for node in graph.nodes
                for probe in node.probes()
                for key in snapshot.passed
                if probe.asked_as == (key.flow, key.path)
            ),
            is_overdue=is_overdue,
            hidden=self._hidden(snapshot),
            claims=claims,
            waits_for_end=self._waits_for_end(graph, progress, snapshot.now),
        )

    def _waits_for_end(self, graph: Graph, progress: Progress, now: float) -> bool:
        """Whether how the workflow went is not settled: a moment after its flows ended, how pods ended is awaited."""
        if not graph.end_readers or progress.end is not None:
            return False
        if progress.not_final <= set(graph.finals):
            self.over_since = min(self.over_since, now)
            assert now - self.over_since <= PATIENCE + 1.0, "the end is not settled"
        else:
            self.over_since = float("inf")  # a controller that saw them end died before status said so
        return True

    def _hidden(self, snapshot: Snapshot) -> frozenset[str]:
        this = WorkflowId.of(snapshot.workflow)
        since = self.controller.reconciler._memories.by_workflow[this].begun_at
        synced = {gvr for gvr in (JOBS, WIDGETS) if self.controller.informers.knows(gvr, this.uid, since)}
        return frozenset(
            flow.name
            for flow in snapshot.workflow.spec.flows
            if flow.approval is None
            and flow.template not in (*APPLYING, *DELETING)
            and (WIDGETS if flow.name in self.story.widgets else JOBS) not in synced
        )

    def _template(self, name: str) -> str:
        return next((flow.template for flow in self.reference.spec.flows if flow.name == name), "")

    def _judge_gone(self, at: At, attempt: int) -> None:
        """A task that deletes an object says that it is gone."""
        touches = self.world.things.touched(*at, attempt)
        assert touches, f"{at} is done, and nobody looked for its object"
        left = [thing.name for thing in self.world.things.there() if thing.uid == touches[-1].uid]
        assert not left, f"{at} is done, and {left} is there"

    def _judge_claim(self, snapshot: Snapshot, at: At, claim: Claim) -> None:
        """A claim that no job shows must be true in the world."""
        flow = next(flow for flow in snapshot.workflow.spec.flows if flow.name == at[0])
        lives = [life for life in self.world.lives if (life.flow, life.index, life.attempt) == (*at, claim.attempt)]
        touches = self.world.things.touched(*at, claim.attempt)
        made = [life.created for life in lives] + [touch.at for touch in touches]
        what = f"{at} attempt {claim.attempt}: {claim.reason}"
        match claim.reason:
            case "JobDeleted":
                assert made, f"{what}, but it never had a job"
                assert all(life.deleted is not None for life in lives), f"{what}, but its job lives"
                assert lives or any(self.world.things.is_gone(touch.uid) for touch in touches), f"{what}, but it lives"
            case "DeadlineExceeded" if flow.approval is not None:
                assert flow.timeout is not None
                asked = self.released_at.get((at, claim.attempt))
                assert asked is not None, f"{what}, but nobody was asked"
                assert snapshot.now >= asked + durations.parse(flow.timeout) - 1e-3, what
            case "DeadlineExceeded":
                assert made, f"{what}, but it never had a job"
                assert flow.timeout is not None
                assert snapshot.now >= min(made) + durations.parse(flow.timeout) - 1e-3, what
            case "PendingTimeout":
                assert flow.pending_timeout is not None
                released = self.released_at.get((at, claim.attempt))
                assert released is not None, f"{what}, but it was never released"
                limit = durations.parse(flow.pending_timeout)
                assert snapshot.now >= released + limit - 1e-3, (
                    f"{what} at {snapshot.now - released:.3f} s of {limit} s"
                )
            case _:
                faults = [fault for fault in snapshot.faults.values() if fault.attempt - claim.attempt in (0, 1)]
                assert faults, f"{what}, but no creation failed"

    def _compare(self, graph: Graph, progress: Progress, seen: Observation) -> None:
        real = {
            (node.name, index): str(task.phase)
            for node, state in zip(graph.nodes, progress.flows, strict=True)
            for index, task in enumerate(state.tasks)
        }
        expected = {at: task.state for at, task in self.reference.tasks.items()}
        wrong = {at: f"{real[at]}, the reference says {expected[at]}" for at in real if real[at] != expected[at]}
        assert not wrong, f"tasks are not what they should be: {wrong}"
        decided = "" if progress.decision is None else "Succeeded" if progress.decision.is_success else "Failed"
        assert decided == self.reference.decided, (
            f"decided {progress.decision}, the reference {self.reference.decided!r}"
        )
        for node, state in zip(graph.nodes, progress.flows, strict=True):
            assert str(state.phase) == self.reference.flow_state(node.name)
        assert {phase: count for phase, count in progress.counts.items() if count} == Counter(
            task.phase for state in progress.flows for task in state.tasks
        ), "the counts do not add up"
        for at, task in self.reference.tasks.items():
            if task.released or task.state == "Backoff":
                attempt = task.attempt + (task.state == "Backoff")
                self.released_at.setdefault((at, attempt), seen.now)

    def _judge_creations(self, snapshot: Snapshot, made: Plan) -> None:
        spec = snapshot.workflow.spec
        assert not (snapshot.is_held and made.creations), "a held workflow makes a job"
        assert not snapshot.is_held or spec.shutdown or self.reference.decided or not made.deletions, "or deletes one"
        by_name = {flow.name: flow for flow in spec.flows}
        made_of: Counter[str] = Counter()
        for creation in made.creations:
            at = (creation.task.flow, creation.task.index)
            task, flow = self.reference.tasks[at], by_name[at[0]]
            made_of[at[0]] += 1
            what = f"creation of {creation.name}"
            assert flow.approval is None, f"{what}, which waits for a person"
            self._judge_end_in(snapshot, creation)
            if task.state == "Waiting":
                assert task.released, f"{what}, whose dependencies are not True"
                assert creation.attempt == max(task.attempt, self.reference.firsts.get(at[0], 0)), what
            else:
                assert task.state == "Backoff", f"{what} while {task.state}"
                assert creation.attempt == task.attempt + 1, what
                assert task.due is not None, what
                assert snapshot.now >= task.due - 1e-3, f"{what} {task.due - snapshot.now:.3f} s too early"
            assert not spec.suspend or (flow.finally_ and spec.shutdown == "Stop"), f"{what} while suspended"
            if self.reference.decided and not flow.finally_:
                assert made.progress.is_decision_acked, f"{what} before the decision was recorded"
            old = self.recorded.get(at)
            assert old is None or old[0] not in FINAL, f"{what} after status said {old}"
            if old is not None and old[0] not in ("Waiting", "Backoff"):
                assert creation.attempt > old[1], f"{what}, which status has recorded as {old}"
        for name, count in made_of.items():
            states = [task.state for at, task in self.reference.tasks.items() if at[0] == name]
            unfinished = sum(state in ("Pending", "Suspended", "Running") for state in states)
            limit = by_name[name].for_.parallelism if by_name[name].for_ else None  # type: ignore[union-attr]
            assert limit is None or unfinished + count <= limit, f"{name}: {unfinished} + {count} jobs at once"
        if spec.parallelism is not None and made.creations:
            states = [task.state for task in self.reference.tasks.values()]
            unfinished = sum(state in ("Pending", "Suspended", "Running") for state in states)
            assert unfinished + len(made.creations) <= spec.parallelism, "more jobs at once than parallelism allows"

    def _judge_end_in(self, snapshot: Snapshot, creation: CreateJob) -> None:
        """What the job of a `finally` flow knows of the end is recorded, true, and the same in all of them."""
        meta = msgspec.json.decode(creation.body)["metadata"] if creation.body else {}
        text = (meta.get("annotations") or {}).get("end")
        if text is None:
            return
        assert records.record_of(snapshot.workflow.status).end is not None, "a job is made before the end is recorded"
        assert self.end in ("", text), f"a job was made with {self.end}, and now with {text}"
        self.end = text
        _, _, failures = text.split(" ", 2)
        usual = {flow.name for flow in snapshot.workflow.spec.flows if not flow.finally_}
        failed = {at for at, task in self.reference.tasks.items() if at[0] in usual and task.state == "Failed"}
        listed = [one for one in msgspec.json.decode(failures) if "count" not in one]
        left_out = sum(one["count"] for one in msgspec.json.decode(failures) if "count" in one)
        assert {(one["flow"], one["index"]) for one in listed} <= failed
        assert len(listed) + left_out == len(failed)

    def _compare_without_memory_of_what_changed(self, snapshot: Snapshot, made: Plan) -> None:
        """A pass over all tasks has the same result as a pass over the changed ones."""
        base = snapshot.progress
        if base is None:
            return
        everything = frozenset(range(len(base.flows)))
        full = real_plan(
            replace(
                snapshot,
                dirty=None,
                progress=msgspec.structs.replace(
                    base,
                    stale=everything,
                    startable=everything,
                    flows=tuple(msgspec.structs.replace(flow, timer_at=0.0) for flow in base.flows),
                ),
            )
        )
        for before, one, other in zip(base.flows, full.progress.flows, made.progress.flows, strict=True):
            for was, of_all, of_changed in zip(before.tasks, one.tasks, other.tasks, strict=True):
                assert of_all == of_changed, (
                    f"a pass over what changed differs from one over all in {_difference(of_changed, of_all)}: it makes"
                    f" {of_changed} of {was}"
                )
        assert full.progress.decision == made.progress.decision
        assert full.creations == made.creations
        assert set(made.deletions) <= set(full.deletions)

    # Every acknowledged status

    def on_status(self, status: WorkflowStatus) -> None:
        assert status.phase is not None
        before = self.phase
        self._note(f"status {status.phase} {status.progress}")
        if before is not None and before.is_final and status.phase is before:
            old = self.world.log[WORKFLOWS][-2].obj.status
            seen = msgspec.structs.replace(old, observed_generation=status.observed_generation)
            assert msgspec.to_builtins(status) == msgspec.to_builtins(seen), "after the end nothing else changes"
            return
        if not self._takes_up_again(status):
            assert before is None or status.phase in _MOVES[before], (
                f"the workflow went from {before} to {status.phase}"
            )
            assert not (before is not None and before.is_final), "a status is written after the end"
        self.phase = status.phase
        memories = records.by_flow(status)
        now = {
            (flow.name, index): recorded
            for flow in status.flows
            for index, recorded in _tasks(
                flow, memories[flow.name].record, is_indexed=self._is_indexed(flow.name)
            ).items()
        }
        # Of these status says that no attempt had an object: one that was applied and not recorded is forgotten.
        unmade = {
            (name, index)
            for name, memory in memories.items()
            for item in memory.record.kept
            if item.unmade
            for index in _indexes(item.indexes)
        }
        for flow in self.reference.spec.flows:
            if flow.items_from:
                assert memories[flow.name].record.tasks == self.reference.number_of(flow.name), (
                    f"{flow.name} is recorded with {memories[flow.name].record.tasks} tasks, it has"
                    f" {self.reference.number_of(flow.name)}"
                )
        counts = Counter(phase for phase, _ in now.values())
        written = msgspec.structs.asdict(status.tasks)
        assert {name: count for name, count in written.items() if count and name != "total"} == {
            phase.lower(): count for phase, count in counts.items()
        }
        assert status.tasks.total == len(now) == len(self.reference.tasks)
        finals = sum(phase in FINAL for phase, _ in now.values())
        assert status.progress == f"{finals}/{len(now)}"
        for at, (phase, attempt) in now.items():
            expected = self.reference.tasks[at]
            assert phase == expected.state, f"{at} is recorded as {phase}, it is {expected.state}"
            if phase not in ("Skipped", "Cancelled"):
                assert attempt == expected.attempt, f"{at} is recorded as attempt {attempt}, it is {expected.attempt}"
            was = self.finals.setdefault(at, phase) if phase in FINAL else self.finals.get(at)
            assert was is None or was == phase, f"{at} was {was}, and is recorded as {phase}"
            self._judge_recorded(at, phase, attempt)
            if at[0] in self.story.acting and phase not in ("Waiting", "Skipped") and at not in unmade:
                self.shown.add((at, attempt))
        self._judge_outputs(status)
        self._judge_end(status)
        applied = {at for at, (phase, _) in now.items() if phase == "Succeeded" and self._template(at[0]) in APPLYING}
        judge_recorded_objects(status, self.world.things, applied)
        self.recorded = now
        if status.phase.is_final:
            assert status.phase == self.reference.phase
            assert finals == len(now), "the workflow is over with tasks that are not"
        self.reference.acknowledge()

    def _judge_end(self, status: WorkflowStatus) -> None:
        """How the workflow went is recorded as it was decided then, if it was. A person may decide otherwise later."""
        end = records.record_of(status).end
        if end is not None and not self.is_end_recorded:
            self.is_end_recorded = True
            # A rejection that a person gave beforehand decides once the `finally` flow is released, which is later.
            finals = {flow.name for flow in self._asking() if flow.finally_}
            is_rejected = any(at[0] in finals and task.state == "Failed" for at, task in self.reference.tasks.items())
            assert is_rejected or self.reference.decided in ("", end.phase), (
                f"the end is {end}, and decided {self.reference.decided}"
            )

    def _judge_outputs(self, status: WorkflowStatus) -> None:
        """Every task that succeeded has its outputs in the status, and the values never change in one run."""
        if not self.judges_outputs:
            return
        for flow in self.reference.spec.flows:
            found = next(one for one in status.flows if one.name == flow.name)
            values = {(flow.name, index): pairs for index, pairs in outputs_by_index(found).items()}
            succeeded = {
                at for at, task in self.reference.tasks.items() if at[0] == flow.name and task.state == "Succeeded"
            }
            assert set(values) == (succeeded if flow.outputs else set()), f"outputs of {flow.name}: {values}"
            for at, pairs in values.items():
                was = self.outputs.setdefault(at, pairs)
                assert was == pairs, f"{at} had {was}, and is recorded with {pairs}"

    def _takes_up_again(self, _status: WorkflowStatus) -> bool:
        """Whether this status is the first of another run; judges that it is as it has to be."""
        return False

    def _judge_recorded(self, at: At, phase: str, attempt: int) -> None:
        """Status never records what did not happen, and records each job once."""
        lives = [life for life in self.world.lives if (life.flow, life.index) == at]
        is_asking = any(flow.name == at[0] and flow.approval is not None for flow in self.reference.spec.flows)
        assert not (is_asking and lives), f"{at} waits for a person, and has a job"
        if phase in ("Pending", "Running", "Suspended", "Succeeded") and not is_asking:
            of_attempt = [life for life in lives if life.attempt == attempt]
            touches = self.world.things.touched(*at, attempt)
            assert of_attempt or touches, f"{at} is recorded as {phase} without a job of attempt {attempt}"
            if phase in ("Running", "Succeeded") and not touches:
                assert any(life.ran is not None or life.ended in ("ok", "ready") for life in of_attempt)
        for life in lives:
            if life.recorded is None and life.attempt <= attempt and phase not in ("Waiting", "Skipped"):
                life.recorded = self.world.version

    def _is_indexed(self, name: str) -> bool:
        return next(flow for flow in self.reference.spec.flows if flow.name == name).for_ is not None

    def judge_history(self) -> None:
        """No attempt ever had two jobs at once, nor one after another once status recorded the first."""
        by_attempt: dict[tuple[str, bool, int, int], list[Life]] = {}
        for life in self.world.lives:
            by_attempt.setdefault((life.flow, life.indexed, life.index, life.attempt), []).append(life)
        for what, lives in by_attempt.items():
            for first, second in pairwise(lives):
                assert first.deleted is not None, f"{what} has two jobs"
                assert first.deleted <= second.created, f"{what} had two jobs at once"
                assert first.recorded is None or first.recorded > second.version, (
                    f"{what} got a second job though status had recorded the first"
                )


def _by_task(graph: Graph, jobs: Mapping[TaskKey, Sequence[ObservedJob]]) -> dict[At, tuple[JobSeen, ...]]:
    """The jobs of each task; without those that another spec made, in which the flow had `for` and now has not."""
    return {
        (key.flow, key.index): tuple(_seen(one) for one in of_task if _is_like(graph, key, one))
        for key, of_task in jobs.items()
    }


def _is_like(graph: Graph, key: TaskKey, observed: ObservedJob) -> bool:
    """Whether a job is named as those of the flow that the graph has: with an index, or without."""
    number = graph.by_name.get(key.flow)
    return number is None or graph.nodes[number].is_indexed == (labels.INDEX in observed.job.metadata.labels)


def _difference(one: msgspec.Struct, other: msgspec.Struct) -> dict[str, object]:
    """The fields in which two values differ, each with both."""
    found: dict[str, object] = {}
    for name in one.__struct_fields__:
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine != theirs:
            both = isinstance(mine, msgspec.Struct) and isinstance(theirs, msgspec.Struct)
            found[name] = _difference(mine, theirs) if both else (mine, theirs)
    return found


def _seen(seen: ObservedJob) -> JobSeen:
    is_map = seen.is_foreign and seen.gvr == MAPS
    says = "Succeeded" if is_map else str(seen.job.status.get("sim", "Pending"))
    return JobSeen(
        seen.attempt,
        "Succeeded" if says == "Ready" else says,
        is_deleting=seen.job.metadata.is_deleting,
        list=str(seen.job.status.get("list", "")),
        gives="x" in seen.job.status,
        action=str(seen.action) if seen.is_foreign else "",
    )


def _tasks(flow: FlowStatus, record: FlowRecord, *, is_indexed: bool) -> dict[int, tuple[str, int]]:
    """Index -> state and attempt, as a reader of the status sees them."""
    kept = {index: item.attempt for item in record.kept for index in _indexes(item.indexes)}
    if not is_indexed:
        return {0: (str(flow.phase), kept.get(0, max(0, flow.attempts - 1)))}
    found = {}
    for phase in Phase:
        for index in _indexes(getattr(flow, phase.lower())):
            assert index not in found, f"index {index} of {flow.name} is recorded twice"
            found[index] = (str(phase), kept.get(index, 0))
    return found


def _indexes(text: str) -> list[int]:
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


class DeafSimulation(Simulation):
    """Watches fall silent for some time. Meanwhile the controller knows only the answers to its own calls."""

    def _act(self, choice: int) -> None:
        match choice % 24:
            case 20 | 21 | 22:
                gvr = self.tape.pick(JOBS, WIDGETS, WORKFLOWS)
                self.controller.silent ^= {gvr}
                self._note(f"the watch of {gvr.resource} {'is silent' if gvr in self.controller.silent else 'speaks'}")
            case 23:
                trap = Trap(1 + self.tape.below(6), "transient", after=True)
                self.world.traps.append(trap)
                self._note(f"armed {trap}")
            case _:
                super()._act(choice)

    def _quiet(self) -> None:
        self.controller.silent = set()
        super()._quiet()


def simulate(scenario: Scenario, *, calm: bool = False, deaf: bool = False) -> Simulation:
    """Runs it; raises AssertionError for whatever the contract forbids. calm: without what depends on time; deaf: with
    watches that fall silent.
    """
    kind = DeafSimulation if deaf else Simulation
    story = story_of(scenario, calm=calm, with_people=True, with_objects=True)
    simulation = kind(story, scenario.schedule, calm=calm)
    simulation.run()
    simulation.judge_history()
    return simulation
