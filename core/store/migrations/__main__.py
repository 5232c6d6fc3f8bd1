"""``python -m core.store.migrations``: writes each chain's ``head.sql`` anew."""

from core.store.provisioning import script_file
from core.store.schema import script_of

for chain in ("shared", "tenant"):
    script_file(chain).write_text(script_of(chain), "utf-8")
