"""The tools, one definition each; every engine uses these."""

from collections.abc import Mapping

from agent.fleet.servers import Fleet
from agent.gate.gate import Gate
from agent.toolbox import Tool
from agent.tools.checks import CheckHttp, CheckTcp
from agent.tools.commands import RunCommand, TailFile
from agent.tools.servers import AddServer, ListServers


def all_tools(gate: Gate, fleet: Fleet) -> Mapping[str, Tool]:
    """Return every tool by name."""
    tools: list[Tool] = [
        RunCommand(gate),
        TailFile(gate),
        ListServers(fleet),
        AddServer(gate, fleet),
        CheckHttp(fleet),
        CheckTcp(fleet),
    ]
    return {tool.name: tool for tool in tools}
