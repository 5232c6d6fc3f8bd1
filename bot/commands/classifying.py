"""By what ``it0 classify`` judges: the rules alone, a policy in a file, or a tenant's policy and servers."""

from collections.abc import Callable
from functools import partial
from typing import Any

from agent.risk import classify
from bot.commands.terminal import run
from core.work import Verdict

Judge = Callable[[str, str, int], Verdict]


def judge_of(tenant: str, file: Any) -> Judge:
    """Return the classifier. tenant: a slug, "" for none; file: an open file with a policy, None for none."""
    if tenant:
        from agent.gate.judging.hosts import weighed
        from bot.admin import policies as admin

        policy, known = run(lambda: admin.grounds(tenant))
        own = policy if file is None else _policy_in(file)
        return lambda command, environment, count: weighed(classify, command, environment, count, own, known)
    return classify if file is None else partial(classify, policy=_policy_in(file))


def _policy_in(file: Any) -> Any:
    from agent.risk.policy import policy_of
    from bot.commands.policies import read_draft

    draft = read_draft(file)
    return policy_of((draft.made_from or 0) + 1, draft.document)
