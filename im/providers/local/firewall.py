"""The rules of one infrastructure: nodes go out through this machine's address, and nothing comes in uncalled.

All rules carry the comment ``im-local <infrastructure>``, are added in one ``iptables-restore`` and are found again by
the comment. They stand before the machine's own rules of FORWARD, so that a policy of DROP (Docker's) does not cut the
nodes off.
"""

from __future__ import annotations

import shlex
from ipaddress import IPv4Network

from im.providers.local.commands import run


def wanted_rules(infrastructure: str, link: str, any_link: str, subnet: IPv4Network) -> dict[str, tuple[str, ...]]:
    """Return the rules by table, as iptables-restore takes them."""
    note = f'-m comment --comment "{_comment(infrastructure)}"'
    return {
        "nat": (f"-A POSTROUTING -s {subnet} ! -o {any_link} {note} -j MASQUERADE",),
        "filter": (
            f"-I FORWARD 1 -o {link} {note} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            f"-I FORWARD 2 -o {link} {note} -j DROP",
            f"-I FORWARD 3 -i {link} ! -o {any_link} {note} -j ACCEPT",
        ),
    }


def ensure(infrastructure: str, link: str, any_link: str, subnet: IPv4Network) -> None:
    """Make the rules what they should be: all there, each once."""
    wanted = wanted_rules(infrastructure, link, any_link, subnet)
    existing = existing_rules(infrastructure)
    if {table: len(rules) for table, rules in wanted.items()} == {t: len(r) for t, r in existing.items()}:
        return
    _restore(
        {table: (*(_deletion(rule) for rule in existing.get(table, ())), *rules) for table, rules in wanted.items()}
    )


def remove(infrastructure: str) -> None:
    """Remove all rules that carry the infrastructure's comment."""
    existing = existing_rules(infrastructure)
    if existing:
        _restore({table: tuple(map(_deletion, rules)) for table, rules in existing.items()})


def existing_rules(infrastructure: str) -> dict[str, tuple[str, ...]]:
    """Return the rules that carry the infrastructure's comment, by table, as iptables-save prints them."""
    found: dict[str, tuple[str, ...]] = {}
    table = ""
    for line in run(["iptables-save"]).stdout.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A") and _comment(infrastructure) in shlex.split(line):
            found[table] = (*found.get(table, ()), line)
    return found


def _comment(infrastructure: str) -> str:
    return f"im-local {infrastructure}"


def _deletion(rule: str) -> str:
    return rule.replace("-A ", "-D ", 1)


def _restore(tables: dict[str, tuple[str, ...]]) -> None:
    lines = [line for table, rules in tables.items() for line in (f"*{table}", *rules, "COMMIT")]
    run(["iptables-restore", "--noflush", "--wait", "10"], "\n".join([*lines, ""]))
