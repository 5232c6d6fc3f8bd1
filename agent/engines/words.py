"""The words of the grammar in both languages: topics, what they run, and whatever may stand around them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from core.work import SERVER_ROLES

DF = "df -hT -x tmpfs -x devtmpfs -x overlay"
MAX_LINES = 5000


@dataclass(frozen=True, slots=True)
class Topic:
    """Something that can be asked of a server, as one command line.

    en, zh: the phrases for it, the first of which stands for it in the help, parted by semicolons.
    with_unit: the line where a unit is named, "" where none can be; changes: it does something and needs one.
    """

    name: str
    command: str
    en: str
    zh: str
    with_unit: str = ""
    changes: bool = False

    @property
    def phrases(self) -> list[str]:
        """Return every phrase for it in both languages."""
        return f"{self.en};{self.zh}".split(";")


_TOPICS = (
    Topic(
        "disk",
        DF,
        "disk;disks;disk usage;disk space;disk free;free disk space;free space;storage;df",
        "磁盘;硬盘;磁盘空间;硬盘空间;剩余空间;存储空间;存储",
    ),
    Topic("memory", "free -m", "memory;mem;ram;memory usage;free memory;swap", "内存;可用内存;剩余内存"),
    Topic("load", "uptime", "load;cpu load;load average;system load", "负载;系统负载;cpu 负载;平均负载"),
    Topic("uptime", "uptime", "uptime;up time", "运行时间;运行时长;运行了多久;开机时间"),
    Topic("cpu", "top -b -n 1 | head -n 20", "cpu;cpu usage;processor;top", "cpu 使用率;处理器;cpu 占用"),
    Topic(
        "processes",
        "ps aux --sort=-%cpu | head -n 15",
        "processes;top processes;process;running processes;busiest processes;process list;ps",
        "进程;进程列表;运行的进程;正在运行的进程;占用最高的进程",
    ),
    Topic(
        "ports",
        "ss -tulpn",
        "ports;port;open ports;listening ports",
        "端口;开放端口;开放的端口;监听端口;监听的端口;打开的端口",
    ),
    Topic(
        "failed",
        "systemctl --failed --no-pager",
        "failed services;failed units;failed service;failed unit;failing services;broken services",
        "失败的服务;失败服务;失败的单元;异常服务;异常的服务;出错的服务",
    ),
    Topic(
        "services",
        "systemctl list-units --type=service --state=running --no-pager",
        "services;running services;active services",
        "服务列表;运行的服务;正在运行的服务;有哪些服务",
    ),
    Topic("timers", "systemctl list-timers --no-pager", "timers;systemd timers", "定时器;系统定时器"),
    Topic(
        "containers",
        "docker ps",
        "containers;container;running containers;docker containers;docker ps",
        "容器;容器列表;运行的容器;正在运行的容器;docker 容器",
    ),
    Topic(
        "who",
        "who",
        "who is logged in;who's logged in;logged in users;who is online;who's online;who;who is on",
        "谁登录了;登录用户;谁在线;谁登录着;谁在;登录的用户;谁登录",
    ),
    Topic("kernel", "uname -a", "kernel;kernel version;uname", "内核;内核版本"),
    Topic(
        "addresses", "ip -br addr", "ip addresses;ip address;ip;addresses;interfaces", "网卡;ip 地址;网络接口"
    ),
    Topic("time", "date", "time;date;system time", "时间;系统时间;日期"),
    Topic(
        "status",
        "",
        "status;state;health;up;alive;running;healthy;down",
        "状态;运行状态;服务状态;在运行;正在运行;活着;健康状况;健康状态",
        "systemctl status {unit} --no-pager",
    ),
    Topic(
        "logs",
        "journalctl -n {lines} --no-pager",
        "logs;log;journal;system logs;service logs",
        "日志;系统日志;服务日志;最近日志;最近的日志;最新日志",
        "journalctl -u {unit} -n {lines} --no-pager",
    ),
    Topic("restart", "", "restart", "重启;重新启动", "systemctl restart {unit}", True),
    Topic("reload", "", "reload", "重载;重新加载", "systemctl reload {unit}", True),
    Topic("start", "", "start", "启动;开启", "systemctl start {unit}", True),
    Topic("stop", "", "stop", "停止;停掉;停下;关掉;关闭", "systemctl stop {unit}", True),
)
TOPICS: Mapping[str, Topic] = {topic.name: topic for topic in _TOPICS}

_IN_CHINESE = {
    "status": "{server} 的 {unit} 状态",
    "logs": "看 {server} 的 {unit} 日志",
    "overview": "检查 {server}",
    "port": "{server} 的 5432 端口通吗",
    "run": "在 {server} 上执行 `systemctl list-timers`",
    "tail": "看 {server} 的 /var/log/syslog",
    "http": "检查 https://example.com",
    "list": "服务器列表",
    "ping": "ping {server}",
    "search": "在 {server} 的 /var/log 里搜索“timeout”",
    "touched": "昨天谁动过 {server}",
    "harden": "加固 {server}",
}


def in_chinese(name: str, server: str, unit: str) -> str:
    """Return the sentence that asks for a topic or a tool, as one types it in Chinese."""
    if name in _IN_CHINESE:
        return _IN_CHINESE[name].format(server=server, unit=unit)
    topic = TOPICS[name]
    first = topic.zh.split(";")[0]
    return f"{first} {server} 的 {unit}" if topic.changes else f"{server} 的 {first}"


_TAG = r"([A-Za-z0-9][A-Za-z0-9._/-]*(?:=[A-Za-z0-9._:/-]*[A-Za-z0-9])?)(?![A-Za-z0-9])"
SPECIAL = (
    ("tag", re.compile(rf"#{_TAG}")),
    ("tag", re.compile(rf"(?:tagged(?: with)?|with the tag|标签(?:为|是)?) ?#?{_TAG}", re.IGNORECASE)),
    ("url", re.compile(r"https?://[^\s<>\"'`，。、）；]+", re.IGNORECASE)),
    ("path", re.compile(r"(?<![A-Za-z0-9_.])/[^\s，。、；？！`\"'<>|&;$(){}*?]+")),
    ("range", re.compile(r"(?:the )?lines (\d{1,9} ?(?:-|–|to|through) ?\d{1,9})(?![\w.-])", re.I)),
    ("range", re.compile(r"第? ?(\d{1,9} ?行? ?(?:-|–|~|到|至) ?第? ?\d{1,9}) ?行")),
    (
        "lines",
        re.compile(r"(?:the )?(?:last|latest) (\d{1,9})(?: lines?)?(?![\w.-])|(\d{1,9}) lines?(?!\w)", re.I),
    ),
    ("lines", re.compile(r"(?:最近|最后|最新|末尾|后)的? ?(\d{1,9}) ?[行条]|(\d{1,9}) ?[行条]")),
)
"""Tokens that are known by their form."""

OVERVIEW = ("uptime", "memory", "disk")
"""What is looked at when only a server is named."""

_PLAIN_WORDS: Sequence[tuple[str, str]] = (
    ("run", "run;execute;exec;执行;运行"),
    ("tail", "tail;末尾;最后几行"),
    ("ping", "ping"),
    ("search", "search;search for;search in;搜索;查找;搜"),
    ("touched", "who touched;who changed;who worked on;谁动过;谁改过;谁动了;谁改了;谁操作过"),
    ("why", "why;explain;为什么;为何;解释"),
    ("harden", "harden;lock down;加固;收紧"),
    ("when", "today;yesterday;今天;昨天"),
    ("reboot", "reboot;shutdown;shut down;poweroff;power off;关机;重启服务器;重启机器"),
    ("list", "list servers;list all servers;list the servers;show servers;show all servers;show the servers"),
    ("list", "which servers;what servers;list of servers;server list;servers list;list hosts;list machines"),
    ("list", "服务器列表;列出服务器;列出所有服务器;有哪些服务器;哪些服务器;查看服务器列表;机器列表"),
    ("list", "查看所有服务器;看所有服务器;显示所有服务器;显示服务器;所有服务器列表;服务器清单;主机列表"),
    ("look", "check;show;show me;look at;look;take a look at;have a look at;see;view;display;get;give me"),
    ("look", "tell me;list;inspect;examine;print;check on;how's;what's"),
    (
        "look",
        "检查;检查一下;查看;查看一下;查询;查一下;查下;查;看;看看;看一下;看下;显示;告诉我;列出;巡检;瞧瞧",
    ),
    ("ask", "is;are;there;any;what;which;how;how much;how many;left;used;free;available;currently;current"),
    ("opening", "open;打开;开放"),
    ("ask", "usage;use;using;doing;looking;being;enough;full;do;does;have;has;reachable;overview"),
    (
        "ask",
        "情况;使用情况;使用;使用率;占用;占用率;怎么样;如何;多少;还有;还剩;剩;剩余;有;有没有;哪些;什么;是;了",
    ),
    (
        "ask",
        "通;能通;开着;正常;够;够用;够不够;高不高;当前;目前;信息;列表;都;通不通;开着没;概况;是否;满;还好;够不够用",
    ),
    ("ask", "满了没;满了没有;满没满"),
    ("user", "who uses;who's using;who is using;what uses;what's using;what is using"),
    ("user", "谁在用;谁用;谁占用;谁在占用;被谁占用;被谁用;什么在用;被什么占用"),
    ("mark", "?;吗;呢;么"),
    ("request", "can you;could you;would you;will you;能不能;能否;可否"),
    ("polite", "please;pls;plz;kindly;hi;hello;hey;it0;the;a;an;service;unit;daemon;now;me;for me;help me"),
    ("polite", "请;请你;请问;麻烦;麻烦你;帮我;帮忙;帮;给我;把;将;一下;下;现在;吧;你好;您好;我想;我要;服务;!"),
    ("noun", "server;servers;host;hosts;machine;machines;box;服务器;机器;主机"),
    ("and", "and;&;,;、;和;与;跟;以及;及"),
    ("on", "on;in;at;from;在;从"),
    ("of", "of;for;'s"),
    ("the", "上;上的;里;里的;中的;上面的"),
    ("de", "的"),
    ("all", "all;all servers;all the servers;every server;each server;all hosts;all machines;everywhere"),
    ("all", "所有;全部;所有服务器;全部服务器;所有的服务器;所有机器;全部机器;每台服务器;所有主机;各服务器"),
    ("stop", "not;no;never;dont;cannot;cant;maybe;if;when;unless;except;without;but;or;then;should;must"),
    (
        "stop",
        "it;them;they;that;this;these;those;i;we;you;my;everything;nothing;later;tomorrow;tonight",
    ),
    (
        "stop",
        "again;after;before;until;because;need;needs;want;did;was;were;had;has been;to;be;ever",
    ),
    ("stop", "web server;db server;database server;cache server;other;others;only;just"),
)
_ENVIRONMENTS = {
    "prod": "prod;production;@prod;生产;生产环境;线上;线上环境",
    "staging": "staging;@staging;预发;预发布;预发环境;预发布环境",
    "dev": "dev;development;@dev;开发;开发环境",
}
_ROLES = {"db": "db;database;数据库", "cache": "cache;缓存", "gateway": "gateway;网关"}
GROUP_WORDS = frozenset(
    word.lstrip("@")
    for phrases in (*_ENVIRONMENTS.values(), *_ROLES.values(), *SERVER_ROLES)
    for word in phrases.split(";")
)
"""What an environment or a role is called."""

_ROLE_FORMS = (
    ("all {} servers", "all the {} servers", "{} servers", "the {} servers", "{} hosts", "{} machines"),
    (
        "所有 {} 服务器",
        "所有的 {} 服务器",
        "全部 {} 服务器",
        "{} 服务器",
        "{} 的服务器",
        "所有 {} 机器",
        "{} 机器",
    ),
)

WHOLE: Mapping[str, str] = {
    phrase: what
    for what, phrases in {
        "hello": "hi;hello;hey;hi there;hello there;hi it0;good morning;你好;您好;嗨;哈喽;在吗;早;早上好",
        "thanks": "thanks;thank you;thx;谢谢;多谢;谢谢你;辛苦了",
        "help": "help;help me;what can you do;commands;帮助;你能做什么;你会什么;怎么用;使用说明",
        "yes": "yes;y;ok;okay;sure;approve;go ahead;do it;好;好的;是;是的;可以;同意;批准;行;确认",
        "stop": "stop;stop it;停;停止;停下;别动;停一下",
        "list": "servers;my servers;hosts;服务器;机器",
        "clusters": "clusters;list clusters;show clusters;which clusters;集群;列出集群;集群列表;"
        "有哪些集群;查看集群;显示集群",
        "tasks": "tasks;list tasks;show tasks;what is running;what's running;what is under way;任务;任务列表;"
        "列出任务;查看任务;正在做什么;在做什么;有哪些任务",
    }.items()
    for phrase in phrases.split(";")
}
"""Texts that mean something only when nothing else is said."""


def _words() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}

    def put(phrases: str, kind: str, value: str) -> None:
        for phrase in phrases.split(";"):
            assert found.setdefault(phrase, (kind, value)) == (kind, value), phrase

    for topic in _TOPICS:
        put(";".join(topic.phrases), "change" if topic.changes else "topic", topic.name)
    for kind, phrases in _PLAIN_WORDS:
        for phrase in phrases.split(";"):
            put(phrase, kind, phrase)
    for environment, phrases in _ENVIRONMENTS.items():
        put(phrases, "env", environment)
        for word in phrases.split(";"):
            put(f"{word} servers;{word} environment;{word} 服务器;{word} 的服务器", "env", environment)
            put(f"all {word} servers;所有 {word} 服务器", "env", environment)
    for role in SERVER_ROLES:
        for word in _ROLES.get(role, role).split(";"):
            put(";".join(form.format(word) for forms in _ROLE_FORMS for form in forms), "role", role)
    return found


def _pattern(phrase: str) -> str:
    """Return the phrase as a pattern: between ASCII words some space, beside Chinese none is needed."""
    pattern = re.sub(r"(?<=[^\x00-\x7f])(?:\\ )|(?:\\ )(?=[^\x00-\x7f])", r"\\s*", re.escape(phrase))
    ends_in_ascii = phrase[-1].isascii() and phrase[-1].isalnum()
    return pattern.replace("\\ ", r"\s+") + (r"(?![A-Za-z0-9_@=]|[./-][A-Za-z0-9_])" if ends_in_ascii else "")


_WORDS = _words()
_BY_COMPACT = {phrase.replace(" ", ""): meaning for phrase, meaning in _WORDS.items()}
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0x2019: 0x27}


@cache
def _phrase() -> re.Pattern[str]:
    """Return the pattern of any phrase, the longest first; made when the first sentence comes, in 30 ms."""
    longest_first = sorted(_WORDS, key=len, reverse=True)
    return re.compile("|".join(map(_pattern, longest_first)), re.IGNORECASE | re.ASCII)


def environment_of(word: str) -> str | None:
    """Return the environment that ``word`` names, None if none."""
    kind, value = _BY_COMPACT.get(re.sub(r"\s", "", word.lower()), ("", ""))
    return value if kind == "env" else None


def narrow(text: str) -> str:
    """Return ``text`` with full-width signs as ASCII and every space as a blank, each at its place."""
    return "".join(" " if char.isspace() else char for char in text.translate(_WIDE))


def phrase_at(text: str, at: int) -> tuple[str, str, int] | None:
    """Return (kind, value, end) of the longest phrase that begins at ``at``, None if none does."""
    match = _phrase().match(text, at)
    return (*_BY_COMPACT[re.sub(r"\s", "", match[0].lower())], match.end()) if match else None
