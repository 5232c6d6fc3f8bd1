"""Kinds of values of what is asked over the network: clusters, engines of containers, web servers, clouds."""

import re
from posixpath import normpath
from urllib.parse import unquote

from agent.risk.fields import (
    DOCKER,
    KUBERNETES,
    columns_are_harmless,
    go_template_is_harmless,
    jsonpath_is_harmless,
)
from agent.risk.lexer import Word
from agent.risk.paths import judge_path
from agent.risk.rules import Finding
from core.texts import say
from core.work import Risk

# A name without dots, or in a zone that is nobody's on the internet, or an address of a private network.
# Clouds give a machine's own credentials to who asks "metadata" or 169.254.169.254, however it is written.
_INSIDE_ZONES = r"(internal|local|lan|intra|svc|corp|home\.arpa)"
_INSIDE_NAME = rf"(?!metadata|instance-data)[a-z][a-z0-9-]*((\.[a-z0-9-]+)*\.{_INSIDE_ZONES})?"
_OCTET = r"\.(0|[1-9]\d{0,2})"
_INSIDE_HOST = (
    rf"(localhost|127\.0\.0\.1|\[::1\]|{_INSIDE_NAME}"
    rf"|10({_OCTET}){{3}}|192\.168({_OCTET}){{2}}|172\.(1[6-9]|2\d|3[01])({_OCTET}){{2}})"
)
_INSIDE_PEER = rf"(\w{{1,10}}://)?{_INSIDE_HOST}(:\d{{1,5}})?/?"

REMOTE_FORMS = {
    "context": r"[A-Za-z0-9][\w.@:/-]*",
    "nsname": r"=?[A-Za-z0-9][\w.-]*",
    "labelkeys": r"[A-Za-z0-9][\w.,/-]*",
    "fieldselector": r"[\w.,!=/:@ -]+",
    "kubewho": r"[\w@][\w:@.-]*",
    "kubeverb": r"\*|[\w/][\w./:*-]*",
    "portproto": r"\d{1,5}(/(tcp|udp|sctp))?",
    "crioutput": r"table|yaml|json",
    "tablename": r"table",
    "no": r"false",
    "vhost": r"/?[\w.-]*|/[\w./-]+",
    "kafkaentity": r"topics|brokers|broker-loggers|clients|ips",
    "matcher": r"[A-Za-z_][\w]*(=~|!=|!~|=)[^@]*",
    "zabbixkey": r"(agent|system\.(cpu|uptime|hostname|uname|users|swap|boottime)|vm\.memory|vfs\.(fs|dev)"
    r"|net\.if|kernel|proc\.(num|mem|cpu))[\w.]*(\[[\w/.,%* -]*\])?",
    "pid": r"\d{1,9}",
    "interval2": r"\d{1,9}(ms|s)?",
    "vmflag": r"[A-Za-z]\w*",
    "jcmdarg": r"-?\w+(=\w+)?",
    "nativememory": r"summary|detail|summary\.diff|detail\.diff|scale=[KMG]?B",
    "list": r"list|-all",
    "query": r"[^-@][\s\S]*",
    "reponame": r"[A-Za-z0-9][\w.-]*(/[\w.-]+){1,3}",
    "apipath": r"(?!graphql)/?[A-Za-z][\w./%-]*(\?[\w=&.,%+-]*)?",
    "gitsetting": r"(?!.*(token|passw|secret|header|credential|key|url))[A-Za-z][\w.-]*",
    "resourceaddress": r"[A-Za-z_][\w.-]*(\[[\w\"'./-]+\][\w.-]*)*",
    "keypath": r"[A-Za-z0-9][\w./-]*",
    "squidtest": r"parse|check",
    "chart": r"[A-Za-z0-9][\w-]*/[A-Za-z0-9][\w.-]*",
    "registryimage": r"docker://[\w.:/@-]+",
    "inside": rf"{_INSIDE_PEER}(,{_INSIDE_PEER})*",
    "ciphers": r"[A-Za-z0-9!@][\w:!+@=,-]*",
    "columnletters": r"[0-9a-zA-Z]{1,20}",
    "tableform": r"table|csv|compact",
    "superconf": r"/etc/(supervisor/)?supervisord\.conf",
    "nginxconf": r"(/etc/nginx|/usr/local/nginx/conf|/usr/local/etc/nginx)/nginx\.conf",
    "crisocket": r"(unix://)?/(var/)?run/(containerd/containerd|crio/crio|cri-dockerd|k3s/containerd/containerd)\.sock",
    "clientkey": r"/[\w./@-]+\.(key|pem)",
    "plaintext": r"[^-@\s][\s\S]*",
    "gittext": r"[^-][\s\S]*",
    # The client reads what "file://" and "key@=" name, and long ago what "http://" did.
    "awsvalue": r"(?!.*(file|fileb)://)(?!.*@=)(?!https?://(?!sqs[.\w-]*\.amazonaws\.com(\.cn)?/[\w/.-]+$))"
    r"[^-@\s][\s\S]*",
    "cloudquery": r"(?!\s*\w+://)[^-][\s\S]*",
    "awssetting": r"(?!.*(secret|token|key|passw|credential))[a-z][\w./-]*",
    "bucket": r"(s3|gs|oss|cos|obs)://[\w./*=+:-]*",
    "awsbucket": r"(s3://)?[A-Za-z0-9][\w./=+:-]*",
    "imageglob": r"[A-Za-z0-9*][\w.:/@*-]*",
    "rclonepath": r"[A-Za-z0-9][\w-]*[:/][\w./ -]*",
    "gcloudlevel": r"info|warning|error|critical|none",
    "azlogin": r"login",
    "hcloudoutput": r"json|yaml|noheader|columns=[\w,]+|noheader,columns=[\w,]+",
    "clienttext": r"(?!.*(@|file:|https?:))[^-][\s\S]*",
    "curldata": r"[\w.\[\]-]*=[\s\S]*",
    "cloudid": r"[A-Za-z0-9_/*][\w./:*+=@-]*",
}
"""Kinds that a pattern says all of; ``clientkey``: a key that a client uses, and never shows."""

WHOLE_OBJECTS = {
    ("risk.reads_configuration", "-o json"): KUBERNETES,
    **{("risk.reads_container", name): DOCKER for name in ("docker", "podman", "nerdctl")},
}
"""What is said of a whole object that is shown, with the first place in its words: what jq may pick of it."""

_RAW_PATH = re.compile(
    r"/(metrics|healthz|livez|readyz|version)(/[\w/-]*)?(\?[\w=&-]*)?|/apis/metrics\.k8s\.io/v1beta1/[\w/-]+"
)
_SECRET_RESOURCE = re.compile(r"(^|,)secrets?\b", re.IGNORECASE)
_CONFIG_RESOURCE = re.compile(r"(^|,)(cm|configmaps?)\b", re.IGNORECASE)
_RESOURCE = re.compile(r"[a-z0-9A-Z.,_-]+(/[a-z0-9A-Z._-]+)?")
_ENVIRONMENT = re.compile(r"\benv|secret|password|token", re.IGNORECASE)
_LOCAL_URL = re.compile(r"(https?://)?(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?(?P<path>/[!-~]*)?")
_INSIDE_URL = re.compile(rf"(https?://)?{_INSIDE_HOST}(:\d{{1,5}})?(?P<path>/[!-~]*)?")
_HEALTH = re.compile(
    r"""/?|/up|/([\w./-]*(health\w*|live\w*|ready\w*|ping|status|stats|metrics|version|info|nodes|shards|indices
    |server-status|stub_status|nginx_status|prometheus)/?
    |_cat(/[\w,*.-]+)*|_nodes(/[\w,]+)*|_cluster/(health(/[\w,*.-]+)?|stats|pending_tasks|allocation/explain)
    |([\w./-]*/)?api/v1/(query|query_range|labels|targets|alerts|rules|status/(buildinfo|runtimeinfo|tsdb)))
    ([?;][\w=&.,:;+*%-]*)?""",
    re.VERBOSE,
)
PASSERS_BY = re.compile(r"/*(tmp|dev|run|proc|var/(tmp|run|lock|crash))(/|$)")
_TOUCHY_URL = re.compile(
    r"\benv\b|environ|dump|configprops|definitions|secret|token|credential|passw|/v1/kv|\.git|\.env",
    re.IGNORECASE,
)


def _mismatch(word: Word) -> Finding:
    return Finding(Risk.L2, say("risk.unknown_argument", argument=word.text))


def _kube_output(word: Word, recursive: bool) -> Finding | None:
    form, equals, template = word.text.removeprefix("=").partition("=")
    if form in ("wide", "name", "go-template", "template") and not equals:
        return None
    harmless = False
    if equals and form in ("jsonpath", "jsonpath-as-json"):
        harmless = jsonpath_is_harmless(template, KUBERNETES)
    elif equals and form in ("go-template", "template"):
        harmless = go_template_is_harmless(template, KUBERNETES)
    elif equals and form == "custom-columns":
        harmless = columns_are_harmless(template, KUBERNETES)
    elif equals or form not in ("json", "yaml"):
        return _mismatch(word)
    return None if harmless else Finding(Risk.L1, say("risk.reads_configuration", path=f"-o {form}"))


def _kube_template(word: Word, recursive: bool) -> Finding | None:
    if go_template_is_harmless(word.text, KUBERNETES) and "{{" in word.text:
        return None
    return Finding(Risk.L1, say("risk.reads_configuration", path="--template"))


def _kube_resource(word: Word, recursive: bool) -> Finding | None:
    if _RESOURCE.fullmatch(word.text) is None:
        return _mismatch(word)
    if _SECRET_RESOURCE.search(word.text):
        return Finding(Risk.L2, say("risk.reads_secret", path=word.text))
    if _CONFIG_RESOURCE.search(word.text):
        return Finding(Risk.L1, say("risk.reads_configuration", path=word.text))
    return None


def _kube_raw(word: Word, recursive: bool) -> Finding | None:
    return None if _RAW_PATH.fullmatch(word.text) else _mismatch(word)


def _docker_template(word: Word, recursive: bool) -> Finding | None:
    # Without an action it is one of docker's own forms, such as "json", which shows everything.
    if "{{" in word.text and go_template_is_harmless(word.text, DOCKER):
        return None
    if _ENVIRONMENT.search(word.text):
        return Finding(Risk.L2, say("risk.reads_environment"))
    return Finding(Risk.L1, say("risk.reads_container"))


def _url(word: Word, recursive: bool) -> Finding | None:
    """Judge an address that is asked with GET or HEAD."""
    local = _LOCAL_URL.fullmatch(word.text)
    found = local or _INSIDE_URL.fullmatch(word.text)
    if found is None or "\\" in word.text:
        return Finding(Risk.L2, say("risk.other_host", host=word.text))
    path = found["path"] or ""
    # curl makes several addresses of {…} and […], and a server reads %65 as e.
    if _TOUCHY_URL.search(unquote(path)) or re.search(r"[{}\[\]]", path.partition("?")[0]):
        return Finding(Risk.L2, say("risk.reads_secret", path=word.text))
    if _HEALTH.fullmatch(path):
        return None if local else Finding(Risk.L1, say("risk.other_host", host=word.text))
    if local:
        return Finding(Risk.L1, say("risk.local_url", url=word.text), change=True)
    return Finding(Risk.L2, say("risk.other_host", host=word.text))


def _repository(word: Word, recursive: bool) -> Finding | None:
    """Judge a folder whose own settings can run programs: not where anybody may have put it."""
    if word.glob or PASSERS_BY.match(normpath(word.text)) or "$" in word.text:
        return _mismatch(word)
    return judge_path(word.text, reads=False)


def _git_path(word: Word, recursive: bool) -> Finding | None:
    """Judge a revision, a file in one, or a file: what is shown is never more than configuration."""
    if word.text[:1] in ("-", "+") or "::" in word.text:
        return _mismatch(word)
    finding = judge_path(word.text.partition(":")[2] or word.text, glob=word.glob)
    return finding or judge_path(word.text, glob=word.glob)


def _rule_file(word: Word, recursive: bool) -> Finding | None:
    """Judge a file that is tested: only whether it is right is said, with a piece of its line where not."""
    if not re.fullmatch(r"/[\w./*-]+|[\w.][\w./-]*", word.text):
        return _mismatch(word)
    finding = judge_path(word.text, glob=word.glob)
    return finding if finding and finding.level >= Risk.L2 else None


REMOTE_JUDGES = {
    "kubeoutput": _kube_output,
    "kubetemplate": _kube_template,
    "kuberesource": _kube_resource,
    "kuberaw": _kube_raw,
    "dockertemplate": _docker_template,
    "url": _url,
    "tested": _rule_file,
    "repository": _repository,
    "gitpath": _git_path,
}
