"""opsdroid as an echo on Telegram, in an environment of its own; arguments: API, TOKEN, PORT, FOLDER."""

import sys
from pathlib import Path

from opsdroid.cli.utils import configure_lang
from opsdroid.core import OpsDroid

SKILL = """
from opsdroid.matchers import match_regex
from opsdroid.skill import Skill


class Echo(Skill):
    @match_regex(r".*")
    async def echo(self, message):
        await message.respond(message.text)
"""

# Telegram's address is written into the connector.
CONNECTOR = """
import opsdroid.connector.telegram as telegram


class Bench(telegram.ConnectorTelegram):
    def build_url(self, method):
        return f"{self.config['api']}/bot{self.token}/{method}"
"""


def main(api: str, token: str, port: str, folder: str) -> None:
    """Answer until the process is ended."""
    skill, connector = Path(folder) / "echo_skill.py", Path(folder) / "telegram_bench.py"
    skill.write_text(SKILL)
    connector.write_text(CONNECTOR)
    config = {
        "logging": {"level": "error", "console": True},
        "welcome-message": False,
        "web": {"host": "127.0.0.1", "port": int(port), "base-url": f"http://127.0.0.1:{port}"},
        "parsers": {"regex": {"enabled": True}},
        "connectors": {"telegram_bench": {"path": str(connector), "token": token, "api": api}},
        "skills": {"echo": {"path": str(skill)}},
    }
    configure_lang(config)
    with OpsDroid(config=config) as opsdroid:
        opsdroid.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
