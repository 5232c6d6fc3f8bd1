"""The tools, one definition each; every engine uses these."""

from collections.abc import Mapping

from agent.fleet.servers import Fleet
from agent.gate.gate import Gate
from agent.toolbox import Tool
from agent.tools.audit import AskAudit
from agent.tools.checks import CheckHttp, CheckTcp
from agent.tools.clusters import ListClusters
from agent.tools.commands import RunCommand, TailFile
from agent.tools.explain import Explain
from agent.tools.files import PatchFile, ReadFile, SearchFiles, SendFile, UndoWrite, WriteFile
from agent.tools.ping import Ping
from agent.tools.servers import AddServer, CheckServer, HardenServer, ListServers
from agent.tools.tasks import ListTasks
from core.clock import Clock, system_clock


def all_tools(gate: Gate, fleet: Fleet, clock: Clock = system_clock) -> Mapping[str, Tool]:
    """Return every tool by name."""
    tools: list[Tool] = [
        RunCommand(gate),
        TailFile(gate),
        ReadFile(gate),
        SearchFiles(gate),
        WriteFile(gate),
        PatchFile(gate),
        UndoWrite(gate),
        SendFile(gate),
        Ping(gate, fleet),
        ListServers(fleet),
        ListClusters(fleet),
        AddServer(gate, fleet),
        CheckServer(gate, fleet),
        HardenServer(fleet),
        CheckHttp(fleet),
        CheckTcp(fleet),
        AskAudit(gate, clock),
        ListTasks(clock),
        Explain(gate),
    ]
    return {tool.name: tool for tool in tools}
