#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls with tickets: how many a second, at what price, in how much memory.

usage: bench-calls.py --build DIR [--json]

Each call asks the embedded KMS, gets SRTP contexts and media ports of its own, and is checked by the
caller. The rate is raised until calls fail or INVITEs are repeated.
"""
import argparse
import json
import os
import shutil
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'tests', 'e2e'))
import harness  # noqa: E402
from cases import soak  # noqa: E402

RATES = (50, 100, 200, 400, 600, 800, 1000)
SECONDS = 3


def cpu_ms(pid):
    """Of the signalling thread, and of the whole process."""
    def ticks(path):
        with open(path) as stat:
            fields = stat.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf('SC_CLK_TCK')
    return ticks(f'/proc/{pid}/task/{pid}/stat'), ticks(f'/proc/{pid}/stat')


def measure(bench, server, ticket, rate):
    pid = server.process.child.pid
    before = cpu_ms(pid)
    counts, _ = soak.make_calls(bench, server, ticket, rate * SECONDS, rate, 1)
    after = cpu_ms(pid)
    return {'rate': rate, 'calls': counts[0], 'good': counts[1], 'repeated': counts[3],
            'longest_ms': counts[4],
            'signalling_ms_per_call': round((after[0] - before[0]) / counts[0], 3),
            'process_ms_per_call': round((after[1] - before[1]) / counts[0], 3)}


def run(bench):
    options = [('log', 'level', 'warning'), ('kms', 'max-outstanding', '1000'),
               ('kms', 'per-source', '1000')]
    server = bench.server(policy=soak.POLICY, options=options)
    ticket = soak.get_ticket(bench, server)
    rows = []
    for rate in RATES:
        row = measure(bench, server, ticket, rate)
        rows.append(row)
        if row['good'] < row['calls'] or row['repeated'] > 0:
            break
        time.sleep(0.5)
    return rows


def show(rows):
    print('Calls with tickets (KMS resolve, keys, media, answer verified by the caller)')
    print(f'{"calls/s":>8} {"good":>6} {"of":>6} {"repeated":>9} {"longest ms":>11} '
          f'{"signalling ms/call":>19} {"process ms/call":>16}')
    for r in rows:
        print(f'{r["rate"]:>8} {r["good"]:>6} {r["calls"]:>6} {r["repeated"]:>9} '
              f'{r["longest_ms"]:>11} {r["signalling_ms_per_call"]:>19} '
              f'{r["process_ms_per_call"]:>16}')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', default=os.path.join(TOP, 'build'))
    parser.add_argument('--json', action='store_true')
    a = parser.parse_args()
    bench = harness.Bench(os.path.abspath(a.build), False)
    try:
        rows = run(bench)
    finally:
        bench.end()
        shutil.rmtree(bench.folder, ignore_errors=True)
    if a.json:
        print(json.dumps({'calls': rows}))
    else:
        show(rows)


if __name__ == '__main__':
    main()
