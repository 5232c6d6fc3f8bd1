"""Why an option of ssh is not taken; whoever gives one is told."""

from core.texts import Say, say

_REASONS = {
    "host_key": """stricthostkeychecking userknownhostsfile globalknownhostsfile knownhosts knownhostscommand
checkhostip hostkeyalias nohostauthenticationforlocalhost verifyhostkeydns updatehostkeys
revokedhostkeys canonicalizehostname hostkeyalgorithms""",
    "agent": "forwardagent agentforwarding identityagent addkeystoagent agentpath",
    "forward": """localforward remoteforward dynamicforward gatewayports tunnel tunneldevice forwardx11
forwardx11trusted forwardx11timeout xauthlocation permitremoteopen clearallforwardings exitonforwardfailure
streamlocalbindmask streamlocalbindunlink x11forwarding portforwarding""",
    "runs": """proxycommand localcommand permitlocalcommand remotecommand proxyusefdpass pkcs11provider
securitykeyprovider command smartcarddevice""",
    "secret": "identityfile certificatefile identitiesonly clientkeys passphrase password",
    "environment": "sendenv setenv requesttty env",
}
_BY_OPTION = {option: reason for reason, options in _REASONS.items() for option in options.split()}


def reason_of(option: str) -> str:
    """Return the kind of reason for which ``option`` is refused, "unknown" for one that it0 does not have."""
    return _BY_OPTION.get(option.lower().replace("_", "").replace("-", ""), "unknown")


def why_not(option: str) -> Say:
    """Return in words why ``option`` is refused."""
    return say(f"option.{reason_of(option)}")
