"""What a tenant has used, a row a day, engine and model."""

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import Date, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core.store import tables
from core.store.database import Row, Statement, Transaction
from core.store.statements import BIG, of_tenant, param

U = tables.usage

_insert = upsert(U).values(
    {
        U.c.tenant_id: param("tenant_id"),
        U.c.day: param("day", Date()),
        U.c.engine: param("engine"),
        U.c.model: param("model"),
        U.c.calls: 1,
        U.c.input_tokens: param("input_tokens", BIG),
        U.c.output_tokens: param("output_tokens", BIG),
        U.c.micro_usd: param("micro_usd", BIG),
    }
)
ADD = Statement(
    _insert.on_conflict_do_update(
        index_elements=[U.c.day, U.c.engine, U.c.model],
        set_={
            "calls": U.c.calls + 1,
            "input_tokens": U.c.input_tokens + _insert.excluded.input_tokens,
            "output_tokens": U.c.output_tokens + _insert.excluded.output_tokens,
            "micro_usd": U.c.micro_usd + _insert.excluded.micro_usd,
        },
    )
)
SINCE = Statement(
    select(U)
    .where(of_tenant(U), U.c.day >= param("day", Date()))
    .order_by(U.c.day.desc(), U.c.engine, U.c.model)
)


async def add(
    tx: Transaction, at: datetime, engine: str, model: str, used: Mapping[str, int], usd: float
) -> None:
    """Count one message of a model.

    used: tokens by the API's names, where everything but ``output_tokens`` went in.
    """
    output = used.get("output_tokens", 0)
    await tx.run(
        ADD,
        day=at.date(),
        engine=engine,
        model=model,
        input_tokens=sum(used.values()) - output,
        output_tokens=output,
        micro_usd=round(usd * 1_000_000),
    )


async def since(tx: Transaction, day: date) -> list[Row]:
    """Return the rows of ``day`` (UTC) and later, the newest first."""
    return await tx.all(SINCE, day=day)
