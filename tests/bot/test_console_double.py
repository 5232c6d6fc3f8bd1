"""The double that the page is tested against says nothing that the API could not say."""

import pytest
from support import console_double as double

from bot.api.models import base, clusters, fleet, people, policy, records, talk, tenant

GRANTED = double.ConsoleDouble().make_grant(double.ConsoleDouble().make_approval("c1"))
ANSWERS = {
    "servers": (fleet.Servers, {"servers": double.SERVERS, "next": None}),
    "clusters": (clusters.Clusters, {"clusters": double.LISTS["clusters"], "next": None}),
    "credentials": (fleet.Credentials, {"credentials": double.CREDENTIALS, "next": None}),
    "users": (people.People, {"users": double.PEOPLE, "next": None}),
    "keys": (people.Keys, {"keys": double.LISTS["keys"], "next": None}),
    "channels": (tenant.Channels, {"channels": double.LISTS["channels"], "next": None}),
    "tenant": (tenant.Tenant, double.TENANT),
    "policy": (policy.Policy, double.TENANT_POLICY),
    "usage": (records.Usage, {"rows": double.USAGE, "next": None}),
    "approval": (talk.Approval, double.ConsoleDouble().make_approval("c1")),
    "grants": (talk.Grants, {"grants": [GRANTED], "next": None}),
    "me": (people.Self, double.ConsoleDouble().me),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_fits_the_apis_model(name: str) -> None:
    model: type[base.View] = ANSWERS[name][0]
    model.model_validate(ANSWERS[name][1])
