"""The kinds of values that the programs of a host take, each with what it accepts."""

HOST_FORMS = {
    "tty": r"(/dev/)?(pts/\d+|tty\w+|console)(,(pts/\d+|tty\w+|console))*|\?",
    "rpmrelease": r"%(\{\??)?(rhel|fedora|centos|dist|_arch|_host_cpu)\}?",
    "pids": r"\d{1,9}([, ]\d{1,9})*",
    # zsh computes what printf is given for a number, and runs what stands in brackets there.
    "said": r"[^\[\]$`(){}]*",
    "printform": r"(?!-)([^%]|%%|%[-+ #0-9.]*[sdiuxXofeEgGcbq])*",
    "not": r"!",
    "pattern": r"(?!.*//)[\^\w*?/][\w.+:*?\[\]~@/,-]*\$?",
    "rpmform": r"([^%]|%%|%-?\d*\{=?\w+(:(date|day|depflags|fflags|octal|perms|humaniec|humansi))?\})*",
    "coreplace": r"\d+|[A-Za-z_][\w.-]*|/usr/[\w./+-]+|_?[A-Z][A-Z_]*=[\w.@:/-]+",
    "unitplace": r"\w[\w@.:-]*|/(etc|usr/lib|lib|run)/systemd/(system|user)/[\w@.:-]+",
    "link": r"(?!dump$)[A-Za-z0-9_][\w.@-]{0,31}",
    "ipword": r"[A-Za-z0-9_][\w.:/@-]*",
    "partword": r"p|print|free|all|devices|unit|[sB]|[kMGT]i?B|%|cyl|chs|compact|\d{1,3}",
    "smartlog": r"error|selftest|selective|directory|background|devstat|sataphy|sasphy|ssd|scttemp|scttempsts"
    r"|scttemphist|scterc|genstats|envrep|defects|farm|x(error|selftest)(,\d+)?(,error|,selftest)?",
    "iscsimode": r"session|node|host|iface|discovery|discoverydb|fw",
    "xfsquery": r"(report|df|free|state|print|quota)( -[abghiprnuvNLtU]+)*( [\w./]+)?",
    "multipathquery": r"show (paths|maps|multipaths|topology|status|daemon|wildcards)",
    "listonly": r"l",
    "journaldir": r"/(var|run)/log/journal(/[0-9a-f]+)?",
    "journalfield": r"_?[A-Z][A-Z_]*=[\w.@:/-]+|[+]|/usr/s?bin/[\w.+-]+|/dev/[\w/-]+",
    "wgfield": r"public-key|listen-port|fwmark|peers|endpoints|allowed-ips|latest-handshakes|transfer"
    r"|persistent-keepalive",
    "ntpquery": r"rv|peers|lpeers|pe|lpe|opeers|as|associations|apeers|sysinfo|sysstats|kerninfo|iostats",
    "calendar": r"[\w*:.,/~ -]+",
    "sarname": r"ALL|MOUNT|LOAD|CPU|IO|MEM|PSI|\d{1,9}",
    "sarflag": r"-(?!.*o)[A-Za-z0-9]{1,7}|[A-Z0-9]+(,[A-Z0-9]+)*|[\d:]+",
    "devnull": r"/dev/null",
    "pair": r"[A-Za-z]\w*=[\w.:/@ -]*",
}
