"""Tells which events fit which Sigma rules, by pySigma and SQLite: the reference of a test.

Reads JSON from standard input: a list of {"rule": ..., "events": [...]}; writes for each a list of booleans.
"""

import json
import sqlite3
import sys

import re2
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

FIELDS = ["A", "B", "N"]


def regexp(pattern, value):
    return value is not None and re2.search(pattern, str(value)) is not None


database = sqlite3.connect(":memory:")
database.create_function("regexp", 2, regexp, deterministic=True)
# Sigma's comparisons do not tell upper from lower case; numbers stay numbers.
columns = ", ".join(f"{name} COLLATE NOCASE" for name in FIELDS)
database.execute(f"CREATE TABLE logs (id INTEGER, {columns})")

answers = []
for case in json.load(sys.stdin):
    database.execute("DELETE FROM logs")
    for number, event in enumerate(case["events"]):
        values = [event.get(name) for name in FIELDS]
        database.execute("INSERT INTO logs VALUES (?, ?, ?, ?)", [number, *values])
    found = set()
    for query in sqliteBackend().convert(SigmaCollection.from_dicts([case["rule"]])):
        query = query.replace("SELECT *", "SELECT id", 1)
        found.update(number for (number,) in database.execute(query))
    answers.append([number in found for number in range(len(case["events"]))])
json.dump(answers, sys.stdout)
