"""What holds in a server, in words. Pure."""

from bot.quota.rules import Elsewhere, ServerRules
from bot.words import count, escape
from cogs._decisions import Label

_ELSEWHERE = {
    Elsewhere.NOWHERE: "go to their members directly",
    Elsewhere.PARENT: "go from public threads to their channels, else to their members directly",
    Elsewhere.SYSTEM: "go from public threads to their channels, else to the system channel",
}
_FALLBACK = {True: "on", False: "off", None: "the bot's default"}


def provider(rules: ServerRules, label: Label) -> str:
    return escape(label(rules.default_provider)) if rules.default_provider else "the bot's default"


def fallback(rules: ServerRules) -> str:
    return _FALLBACK[rules.fallback]


def elsewhere(rules: ServerRules) -> str:
    return _ELSEWHERE[rules.elsewhere]


def caps(rules: ServerRules) -> str:
    member = count(rules.member_jobs, "video") if rules.member_jobs else "the bot's default"
    server = count(rules.server_jobs, "video") if rules.server_jobs else "the bot's default"
    return f"{member} for a member, {server} for the server"


def timezone(rules: ServerRules) -> str:
    return f"`{rules.zone.key}`"


def log(rules: ServerRules) -> str:
    return f"<#{rules.log_channel_id}>" if rules.log_channel_id else "off"
