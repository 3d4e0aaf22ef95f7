# SPDX-License-Identifier: Apache-2.0
"""What the server tells those who watch over it: Prometheus, and the service manager."""
import contextlib
import ctypes
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request

from cases.calls import expect_good
from cases.refusals import finish, refused, running, take_ticket
from harness import check, test, wait_until

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)')


def scrape(port):
    """Every sample, by its name and labels as written; complains about what is not in order."""
    with urllib.request.urlopen(f'http://127.0.0.1:{port}/metrics', timeout=5) as answer:
        check(answer.headers['Content-Type'].startswith('text/plain; version=0.0.4'),
              f'the type says the format, found {answer.headers["Content-Type"]}')
        text = answer.read().decode()
    found, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith('# TYPE '):
            _, _, name, kind = line.split(' ')
            check(name not in kinds, f'{name} is one family')
            kinds[name] = kind
        if line.startswith('#'):
            continue
        sample = SAMPLE.fullmatch(line)
        check(sample is not None, f'a sample, found {line!r}')
        name, labels, value = sample.groups()
        family = re.sub(r'_(bucket|sum|count)$', '', name)
        check(name in kinds or kinds.get(family) == 'histogram', f'{name} has a type')
        check(kinds.get(name) != 'counter' or name.endswith('_total'), f'{name} ends in _total')
        key = name + ('{' + labels + '}' if labels else '')
        check(key not in found, f'{key} comes once')
        found[key] = float(value)
    return found


@test('Prometheus reads calls, packets, refusals, the KMS and the policy')
def metrics(bench):
    port = bench.ports.take()
    server = bench.server(options=[('metrics', 'listen', port)])
    check(server.ctl('status')['metrics'] == f'http://127.0.0.1:{port}/metrics', 'status says where')
    before = scrape(port)
    check(before['conclave_legs'] == 0 and before['conclave_policy_snapshot'] == 1,
          f'nothing has happened yet, found {before}')
    alice, uri = running(bench, server)
    bob = bench.ua(server, 'bob', 'join', uri, duration=2)
    bob.wait('connected')
    during = scrape(port)
    expect_good(bob)
    refused(bench.ua(server, 'carol', 'join', uri), 403)
    finish(alice)
    wait_until(lambda: scrape(port)['conclave_legs'] == 0, 'all calls are over')
    after = scrape(port)

    check(during['conclave_legs'] == 2 and during['conclave_media_legs'] == 2,
          f'two calls, found {during}')
    for name in (n for n in before if n.split('{')[0].endswith('_total')):
        check(before[name] <= during[name] <= after[name], f'{name} never shrinks')
    url = f'url="{server.kms_url}"'
    expected = {
        'conclave_joins_total': 2,
        'conclave_sip_invites_total': 3,
        'conclave_sip_refusals_total{status="403"}': 1,
        'conclave_calls_refused_total': 1,
        'conclave_kms_breaker{%s,state="closed"}' % url: 1,
        'conclave_kms_breaker{%s,state="open"}' % url: 0,
        'conclave_kms_preferred{%s}' % url: 1,
        'conclave_kms_failures_total{%s}' % url: 0,
        'conclave_kms_outstanding': 0,
        'conclave_policy_good': 1,
    }
    for name, value in expected.items():
        check(after.get(name) == value, f'{name} is {value}, found {after.get(name)}')
    asked = after['conclave_kms_requests_total{%s}' % url]
    check(asked >= 2 and asked == after['conclave_kms_latency_seconds_count{%s}' % url] ==
          after['conclave_kms_latency_seconds_bucket{%s,le="+Inf"}' % url],
          f'each request has a latency, found {asked}')
    check(after['conclave_kms_latency_seconds_sum{%s}' % url] > 0, 'latencies add up')
    for way in ('in', 'out'):
        packets = after['conclave_media_packets_total{direction="%s"}' % way]
        octets = after['conclave_media_bytes_total{direction="%s"}' % way]
        check(packets > 100 and octets > 160 * packets, f'{way}: {packets} packets, {octets} octets')
    check(after['conclave_media_ticks_total'] > before['conclave_media_ticks_total'], 'it ticks')
    check(after['conclave_media_tick_seconds{of="worst"}'] > 0, 'ticks take time')

    server.write('policy.conf', server.read('policy.conf') + '\n[nonsense]\n')
    server.ctl('reload', expect=1)
    wrong = scrape(port)
    check(wrong['conclave_policy_good'] == 0 and wrong['conclave_policy_snapshot'] ==
          after['conclave_policy_snapshot'] and
          wrong['conclave_policy_reloads_total{result="refused"}'] > 0,
          'a policy that was refused shows')
    server.write('policy.conf', server.read('policy.conf').replace('\n[nonsense]\n', ''))
    server.ctl('reload')
    good = scrape(port)
    check(good['conclave_policy_good'] == 1 and
          good['conclave_policy_snapshot'] > wrong['conclave_policy_snapshot'],
          'a policy that was taken shows')


@test('the KMS going away shows in the metrics, and nothing but them is served')
def kms_metrics(bench):
    port = bench.ports.take()
    server = bench.server(own_kms=True, options=[
        ('metrics', 'listen', port), ('kms', 'breaker-failures', 1), ('kms', 'breaker-time', '1m')])
    url = f'url="{server.kms.url}"'
    check(scrape(port)['conclave_kms_breaker{%s,state="closed"}' % url] == 1, 'closed at first')
    alice, uri = running(bench, server)
    path = f'{bench.folder}/bob.ticket'
    take_ticket(bench, server, 'bob', uri, path)
    server.kms.stop()
    refused(bench.ua(server, 'bob', 'join', uri, keys=False, more=['--ticket-file', path]), 504)
    after = scrape(port)
    check(after['conclave_kms_breaker{%s,state="open"}' % url] == 1 and
          after['conclave_kms_timeouts_total{%s}' % url] == 1 and
          after['conclave_kms_preferred{%s}' % url] == 0, f'open, found {after}')
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=5)
        check(False, 'there is nothing but /metrics')
    finish(alice)


# ---- the service manager ----

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207


@contextlib.contextmanager
def stopped_thread(task):
    """One thread stands still, the others go on. Yields False where that is not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    may = libc.ptrace(PTRACE_SEIZE, task, None, None) == 0
    if may:
        check(libc.ptrace(PTRACE_INTERRUPT, task, None, None) == 0, 'the thread can be stopped')
        os.waitpid(task, 0x40000000)  # __WALL
    try:
        yield may
    finally:
        if may:
            libc.ptrace(PTRACE_DETACH, task, None, None)


def media_tasks(pid):
    """The ids of the media threads."""
    def name(task):
        with open(f'/proc/{pid}/task/{task}/comm') as file:
            return file.read()
    return [int(t) for t in os.listdir(f'/proc/{pid}/task') if name(t).startswith('clv-media-')]


class Manager:
    """Hears what a service tells its manager."""

    def __init__(self, folder):
        self.path = os.path.join(folder, 'notify')
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)

    def hear(self, seconds):
        """Everything that comes within this time."""
        heard, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            with contextlib.suppress(TimeoutError):
                heard.append(self.socket.recv(4096).decode())
        return heard


@test('the watchdog is fed as long as every media thread ticks, and no longer')
def watchdog(bench):
    manager = Manager(bench.folder)
    server = bench.server(env={'NOTIFY_SOCKET': manager.path, 'WATCHDOG_USEC': '600000'},
                          options=[('media', 'threads', 2)])
    heard = manager.hear(1.5)
    if not heard:
        return  # built without systemd
    check(heard[0] == 'READY=1', f'ready first, found {heard}')
    check(4 <= heard.count('WATCHDOG=1') <= 9, f'fed every 200 ms, found {heard}')
    tasks = media_tasks(server.process.child.pid)
    check(len(tasks) == 2, f'two media threads, found {tasks}')
    for task in tasks:
        with stopped_thread(task) as stopped:
            if stopped:
                manager.hear(0.45)  # the last one that it had earned
                heard = manager.hear(1)
                check(not heard, f'a thread that hangs starves the watchdog, found {heard}')
        wait_until(lambda: manager.hear(0.3), 'fed again')
        if stopped:
            check('a media thread has stopped ticking' in server.process.log(), 'the log tells it')
    server.process.signal(signal.SIGTERM)
    check('STOPPING=1' in manager.hear(1), 'it says that it stops')
    check(server.process.wait(5) == 0, 'status 0')
