"""What people write for a name, and what cannot be one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pkg.cli.names import cron_name, template_name, workflow_name
from pkg.cli.problems import Problem


@pytest.mark.parametrize(
    ("read", "given", "expected"),
    [
        pytest.param(workflow_name, "nightly", "nightly", id="a name"),
        pytest.param(workflow_name, "workflow.flow.workflow.sh/nightly", "nightly", id="a line of list -o name"),
        pytest.param(workflow_name, "wkf/nightly", "nightly", id="the short name of the kind"),
        pytest.param(cron_name, "nightly", "nightly", id="a CronWorkflow"),
        pytest.param(cron_name, "cronworkflow.flow.workflow.sh/nightly", "nightly", id="a line of cron list -o name"),
        pytest.param(template_name, "worktemplate/ft", "ft", id="a template as kubectl writes it"),
        pytest.param(template_name, "worktemplates.flow.workflow.sh/ft", "ft", id="a template with its group"),
        pytest.param(template_name, "wkt/ft", "ft", id="the short name of WorkTemplates"),
        pytest.param(cron_name, "cwkf/nightly", "nightly", id="the short name of CronWorkflows"),
    ],
)
def test_names(read: Callable[[str], str], given: str, expected: str) -> None:
    assert read(given) == expected


@pytest.mark.parametrize(
    ("read", "given", "said"),
    [
        pytest.param(workflow_name, "../pods", "of a workflow: lower case", id="another path of the API server"),
        pytest.param(workflow_name, "cronworkflow/nightly", "of a workflow: lower case", id="another kind"),
        pytest.param(
            cron_name, "workflow/nightly", "of a CronWorkflow: lower case", id="a Workflow for a CronWorkflow"
        ),
        pytest.param(cron_name, "Nightly", "of a CronWorkflow: lower case", id="a capital"),
        pytest.param(template_name, "workflow/ft", "of a WorkTemplate: lower case", id="a Workflow for a template"),
        pytest.param(cron_name, "n" * 254, "of a CronWorkflow: lower case", id="too long"),
        pytest.param(workflow_name, "n\x1b[2J", "n\N{REPLACEMENT CHARACTER}[2J", id="what would clear the screen"),
    ],
)
def test_what_cannot_be_a_name(read: Callable[[str], str], given: str, said: str) -> None:
    with pytest.raises(Problem) as caught:
        read(given)
    assert said in caught.value.message
    assert caught.value.exit_code == 2
