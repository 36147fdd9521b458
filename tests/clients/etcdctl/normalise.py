"""Takes out of etcdctl's output what two servers may rightly say differently, and nothing else.

Ids and addresses are replaced by exact text: only *this* server's cluster, member, lease and URL become a name, so a
wrong id stays visible. Numbers that differ by nature (times, sizes, raft term and index, version, quota) become <n> only
behind their label and only when they are above zero: a field that is absent or zero still shows. compare.py --self-test changes
every word of a real transcript and requires that only these labels hide a change.
"""

import json
import re

# Labels whose positive number two correct servers do not share.
VARYING = (
    "raft_term raftTerm raftIndex raftAppliedIndex dbSize dbSizeInUse dbSizeQuota "
    "RaftTerm RaftIndex RaftAppliedIndex DBSize DBSizeInUse DBSizeQuota"
).split()

LOG_KEYS_DROPPED = ("ts", "target", "peer")

_DURATION = r"\d+(?:\.\d+)?(?:ns|µs|ms|s)"
_SIZE = r"\d+(?:\.\d+)? [kMGT]?B"
_SEMVER = r"\d+\.\d+\.\d+"

_RULES = [
    (re.compile(rf'"({"|".join(VARYING)})"( : |:)[1-9]\d*'), r'"\1"\2<n>'),
    (re.compile(rf'"(version|storageVersion|Version|StorageVersion)"( : |:)"{_SEMVER}"'), r'"\1"\2"<version>"'),
    (re.compile(rf'("took":"|"Took" : |took = |\. took ){_DURATION}'), r"\1<duration>"),
    # endpoint status, simple: …, version, storage version, size, in use, not in use, quota, leader, learner, term, index, applied, …
    (
        re.compile(rf", {_SEMVER}, {_SEMVER}, {_SIZE}, {_SIZE}, -?\d+%, {_SIZE}, (\w+), (\w+), [1-9]\d*, [1-9]\d*, [1-9]\d*,"),
        r", <version>, <version>, <size>, <size>, <percent>, <size>, \1, \2, <n>, <n>, <n>,",
    ),
]

_HEADER_FIELDS = re.compile(r'"ClusterID" : .*\n"MemberID" : .*\n(?:"Revision" : .*\n)?"RaftTerm" : .*\n')
_REVISION = re.compile(r'"Revision" : \d+\n')
_TIME_LEFT = [
    re.compile(r"(?P<before>TTL\((?P<granted>\d+)s\), remaining\()(?P<left>\d+)(?P<after>s\))"),
    re.compile(r'(?P<before>"ttl":)(?P<left>\d+)(?P<after>,"granted-ttl":(?P<granted>\d+))'),
    re.compile(r'(?P<before>"TTL" : )(?P<left>\d+)(?P<after>\n"GrantedTTL" : (?P<granted>\d+))'),
]
# etcd lists a lease's keys in the order of a Go map: they are sorted here.
_LEASE_KEYS = [
    (re.compile(r"(attached keys\(\[)(.*?)(\]\))"), " "),
    (re.compile(r'("granted-ttl":\d+,"keys":\[)(.*?)(\])'), ","),
    (re.compile(r'("GrantedTTL" : \d+\n)("Key" : .*(?:\n"Key" : .*)*)()'), "\n"),
]
_TIME_LEFT_SLACK_S = 10


def normalise(text, names, is_watch=False):
    """Returns `text` with what varies named; `names` maps exact ids and URLs to their placeholders."""
    text = "".join(_log_line(line) for line in text.splitlines(keepends=True))
    if is_watch:
        text = _merge_watch_responses(text)
    for exact in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<![0-9A-Za-z]){re.escape(exact)}(?![0-9A-Za-z])", names[exact], text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    for pattern in _TIME_LEFT:
        text = pattern.sub(_time_left, text)
    for pattern, separator in _LEASE_KEYS:
        text = pattern.sub(lambda m: m[1] + separator.join(sorted(m[2].split(separator))) + m[3], text)
    return text


def _log_line(line):
    """The client's own log: what it called and what it was told stay; when and over which socket do not."""
    if not line.startswith('{"level"'):
        return line
    entry = _parsed(line)
    if entry is None:
        return line
    return json.dumps({key: value for key, value in entry.items() if key not in LOG_KEYS_DROPPED}) + "\n"


def _parsed(line):
    try:
        return json.loads(line)
    except ValueError:
        return None


def _merge_watch_responses(text):
    """Events of several revisions may share a response or not, so like responses are joined under the last header.

    The revision in a header is the store's when the response was made, and so varies with it: all but the last are dropped.
    """
    headers = _HEADER_FIELDS.findall(text)
    if len({_REVISION.sub("", header) for header in headers}) == 1:
        return _HEADER_FIELDS.sub("", text) + headers[-1]
    lines = []
    for line in text.splitlines(keepends=True):
        response = _parsed(line) if line.startswith('{"Header"') else None
        if response and lines and isinstance(lines[-1], dict) and _kind(lines[-1]) == _kind(response):
            response["Events"] = lines.pop()["Events"] + response["Events"]
        lines.append(response or line)
    return "".join(each if isinstance(each, str) else _compact_json(each) + "\n" for each in lines)


def _kind(response):
    """All that two responses must share to be joined."""
    header = {key: value for key, value in response.get("Header", {}).items() if key != "revision"}
    has_events = isinstance(response.get("Events"), list)
    return header, has_events, {key: value for key, value in response.items() if key not in ("Header", "Events")}


def _compact_json(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _time_left(match):
    left, granted = int(match["left"]), int(match["granted"])
    if not granted - _TIME_LEFT_SLACK_S <= left <= granted:
        return match[0]
    return f"{match['before']}<just under {granted}>{match['after']}"
