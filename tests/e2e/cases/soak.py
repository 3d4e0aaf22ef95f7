# SPDX-License-Identifier: Apache-2.0
"""Many calls: all of them work, and nothing of them stays behind."""
import os
import re
import subprocess

from harness import CLIENTS, check, free_ports, test, wait_until

POLICY = '''[policy]
format=1

[conference hall]
uri=sip:hall.conf1@127.0.0.1
scheduled=yes
no-ticket-list=policy
allow=*@example.org
auth=asserted
signalling=trusted
key-mgmt-allow=sdes
max-participants=5000
'''
TRUSTED = ('sip', 'trusted-peers', '127.0.0.1')


def sipp_calls(server, calls, rate, hold_ms=100):
    """How many of the calls went wrong."""
    result = subprocess.run(
        ['sipp', '-sf', os.path.join(CLIENTS, 'sipp', 'call-sdes.xml'), '-s', 'hall.conf1',
         f'127.0.0.1:{server.sip_port}', '-i', '127.0.0.1', '-p', str(free_ports()), '-m',
         str(calls), '-r', str(rate), '-d', str(hold_ms), '-nostdin', '-max_socket', '1000',
         '-timeout', '120', '-trace_stat', '-fd', '1', '-stf', server.path('sipp.csv')],
        cwd=server.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(server.path('sipp.csv')) as table:
        rows = [line.split(';') for line in table.read().splitlines()]
    last = dict(zip(rows[0], rows[-1]))
    os.remove(server.path('sipp.csv'))
    good = int(last['SuccessfulCall(C)'])
    check(result.returncode in (0, 1), f'sipp ran, found status {result.returncode}')
    return calls - good


def resident_kb(server):
    with open(f'/proc/{server.process.child.pid}/status') as status:
        return int(re.search(r'VmRSS:\s+(\d+)', status.read()).group(1))


def settled(server):
    """Finished transactions are kept for 32 s; then everything of a call is gone."""
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'no leg is left', 10)


@test('1,000 calls set up and torn down leave nothing behind')
def thousand_calls(bench):
    server = bench.server(options=[TRUSTED], policy=POLICY)
    check(sipp_calls(server, 500, 50) == 0, 'the first 500 calls are good')
    settled(server)
    first = resident_kb(server)
    check(sipp_calls(server, 500, 50) == 0, 'the next 500 calls are good')
    settled(server)
    second = resident_kb(server)
    check(sipp_calls(server, 500, 50) == 0, 'another 500 calls are good')
    settled(server)
    third = resident_kb(server)
    status = server.ctl('status')
    check(status['joins-ever'] == 1500, f'1500 joins were counted, found {status["joins-ever"]}')
    check(status['media-legs'] == 0 and status['sip-dialogs'] == 0, f'nothing lives on: {status}')
    # transactions of the last 32 s overlap; what grows from round to round would be a leak
    grown = third - second
    check(grown < 4096, f'memory is flat, found {first}, {second}, {third} kB')
