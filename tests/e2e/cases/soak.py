# SPDX-License-Identifier: Apache-2.0
"""Many calls: all of them work, and nothing of them stays behind."""
import re
import subprocess

import devconfig
from harness import check, mikey_arguments, test, wait_until

POLICY = f'''[policy]
format=1

[factory adhoc]
uri={devconfig.FACTORY}
create-allow=*@example.org
signalling=any

[conference hall]
uri=sip:hall.conf1@127.0.0.1
scheduled=yes
no-ticket-list=policy
allow=*@example.org
signalling=any
max-participants=1000
max-endpoints-per-user=10
'''
HALL = 'sip:hall.conf1@127.0.0.1'


def get_ticket(bench, server):
    """A ticket for the hall that may be used again and again."""
    path = server.path('load.ticket')
    subprocess.run(
        [bench.program('conclave-ua'), 'ticket', '--for', HALL, '--purpose', 'join', '--reusable',
         '--ticket-file', path, *mikey_arguments(server, 'alice')], check=True,
        stdout=subprocess.DEVNULL)
    return path


def make_calls(bench, server, ticket, calls, rate, hold_ms=10):
    """Counts: started, good, failed, repeated INVITEs; longest set-up in milliseconds; refused."""
    result = subprocess.run(
        ['nice', bench.program('tests/bench/call-load'), f'127.0.0.1:{server.sip_port}', HALL,
         devconfig.identity('alice'), ticket, str(calls), str(rate), str(hold_ms)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    check(result.returncode in (0, 1), f'call-load ran, found {result.stderr}')
    numbers = result.stdout.split()
    return [*map(int, numbers[:4]), float(numbers[4]), int(numbers[5])], result.stderr


def resident_kb(server):
    with open(f'/proc/{server.process.child.pid}/status') as status:
        return int(re.search(r'VmRSS:\s+(\d+)', status.read()).group(1))


def settled(server):
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'no leg is left', 10)
    return resident_kb(server)


@test('1,500 calls with tickets leave nothing behind', only='ordinary')
def many_calls(bench):
    server = bench.server(policy=POLICY, options=[('kms', 'per-source', '256')])
    ticket = get_ticket(bench, server)
    sizes = []
    for _ in range(5):
        counts, why = make_calls(bench, server, ticket, 300, 40)
        check(counts[1] == 300, f'300 calls are good, found {counts}: {why}')
        sizes.append(settled(server))
    status = server.ctl('status')
    check(status['joins-ever'] == 1500, f'1500 joins were counted, found {status["joins-ever"]}')
    check(status['media-legs'] == 0 and status['sip-dialogs'] == 0, f'nothing lives on: {status}')
    # Transactions are kept for 32 s: memory rises for the first rounds and then stays. A sanitizer
    # would keep what was freed.
    check(sizes[4] - sizes[3] < 2048, f'memory is flat, found {sizes} kB')
