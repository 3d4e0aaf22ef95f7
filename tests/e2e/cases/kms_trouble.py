# SPDX-License-Identifier: Apache-2.0
"""The KMS stops, dawdles or talks nonsense; running conferences must not notice."""
import http.server
import signal
import threading
import time
import urllib.request

import devconfig
from cases.calls import conference_of, expect_good, hearing, policy_with
from cases.refusals import refused, take_ticket
from cases.watched import scrape
from harness import check, set_option, test, wait_until


def hold_conference(bench, server):
    """alice and bob, who keep hearing each other until they are told to stop."""
    alice = bench.ua(server, 'alice', 'create', **hearing(440, 660), more=[
        '--invite', devconfig.identity('bob'), '--invite', devconfig.identity('carol')])
    uri = conference_of(alice)
    bob = bench.ua(server, 'bob', 'join', uri, **hearing(660, 440))
    bob.wait('connected')
    return alice, bob, uri


def ticket_holder(bench, server, uri, number):
    """carol with a ticket from better times; she needs no KMS, the server does."""
    path = f'{bench.folder}/carol-{number}.ticket'
    take_ticket(bench, server, 'carol', uri, path)

    def call():
        return bench.ua(server, 'carol', 'join', uri, duration=1, keys=False,
                        more=['--ticket-file', path])
    return call


def still_fine(alice, bob):
    """Both heard the other all the time."""
    time.sleep(2)
    for ua in (bob, alice):
        ua.hang_up()
    expect_good(bob, alice)
    for ua in (alice, bob):
        report = ua.find('report')[0]
        check(report['lost'] == 0 and report['longest_gap_ms'] < 500,
              f'{ua.name} did not notice the outage, found {report}')


@test('with the KMS stopped callers get 504 or 503, and the next call works when it is back')
def stopped(bench):
    server = bench.server(own_kms=True, options=[('kms', 'breaker-failures', 3),
                                                 ('kms', 'breaker-time', '1s')])
    alice, bob, uri = hold_conference(bench, server)
    calls = [ticket_holder(bench, server, uri, n) for n in range(6)]
    server.kms.stop()
    seen = []
    for call in calls[:5]:
        event = refused(call(), 504, 503)
        seen.append(event['status'])
        if event['status'] == 503:
            check(event.get('retry_after', 0) > 0, f'503 has a Retry-After, found {event}')
    check(seen[0] == 504 and 503 in seen, f'first 504, then the breaker opens: 503, found {seen}')
    server.kms.start()
    time.sleep(1.5)
    expect_good(calls[5]())
    still_fine(alice, bob)


@test('with a KMS that hangs callers get 504 in time')
def frozen(bench):
    server = bench.server(own_kms=True, options=[('kms', 'timeout', '1s')])
    alice, bob, uri = hold_conference(bench, server)
    calls = [ticket_holder(bench, server, uri, n) for n in range(2)]
    server.kms.freeze()
    refused(calls[0](), 504)
    server.kms.thaw()
    expect_good(calls[1]())
    still_fine(alice, bob)


class Nonsense(http.server.BaseHTTPRequestHandler):
    """Answers everything with the next of these."""
    answers = [(200, b'%%% not base64 %%%'), (200, b''), (200, b'AAAA' * 5000),
               (500, b'<html>oops</html>'), (404, b'no'), (302, b'')]
    turn = 0

    def do_POST(self):
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        status, body = self.answers[Nonsense.turn % len(self.answers)]
        Nonsense.turn += 1
        self.send_response(status)
        self.send_header('Location', 'http://127.0.0.1:1/')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@test('a KMS that answers nonsense costs a call, never the server')
def nonsense(bench):
    server = bench.server(own_kms=True, options=[('kms', 'breaker-failures', 100)])
    alice, bob, uri = hold_conference(bench, server)
    calls = [ticket_holder(bench, server, uri, n) for n in range(len(Nonsense.answers) + 1)]
    server.kms.stop()
    fake = http.server.ThreadingHTTPServer(('127.0.0.1', server.kms.port), Nonsense)
    threading.Thread(target=fake.serve_forever, daemon=True).start()
    try:
        for call in calls[:-1]:
            refused(call(), 503, 504, 488, 500)
    finally:
        fake.shutdown()
        fake.server_close()
    server.kms.start()
    expect_good(calls[-1]())
    still_fine(alice, bob)


@test('a KMS that takes three seconds delays its caller and nobody else')
def slow(bench):
    server = bench.server(own_kms=True, options=[('kms', 'timeout', '6s')])
    alice, bob, uri = hold_conference(bench, server)
    call = ticket_holder(bench, server, uri, 0)
    server.kms.freeze()
    threading.Timer(3, server.kms.thaw).start()
    carol = call()
    # The signalling thread is free meanwhile.
    check(server.ctl('status')['legs'] >= 2, 'the server answers its operator')
    expect_good(carol)
    still_fine(alice, bob)


class Dawdler(http.server.BaseHTTPRequestHandler):
    """Passes everything on to a KMS, late when told so."""
    target, delay = None, 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        time.sleep(self.delay)
        asked = urllib.request.Request(self.target + self.path, body, {
            'Content-Type': self.headers['Content-Type']})
        with urllib.request.urlopen(asked, timeout=5) as answer:
            reply = answer.read()
        self.send_response(200)
        self.send_header('Content-Type', 'application/mikey')
        self.send_header('Content-Length', str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *arguments):
        pass


@test('an UPDATE with a ticket waits four seconds for the KMS, whatever its timeout, then hears 500')
def hurried(bench):
    server = bench.server(own_kms=True, policy=policy_with('kms-timeout=20s'))
    Dawdler.target, Dawdler.delay = f'http://127.0.0.1:{server.kms.port}', 0
    between = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Dawdler)
    threading.Thread(target=between.serve_forever, daemon=True).start()
    try:
        check(server.process.end() == 0, 'the server stops')
        server.set_options([('kms', 'url', f'http://127.0.0.1:{between.server_port}/keymanagement'),
                            ('kms', 'timeout', '20s')])
        server.start()
        alice = bench.ua(server, 'alice', 'create', **hearing(440, 660), more=[
            '--interactive', '--allow-method', 'update', '--invite', devconfig.identity('bob')])
        uri = conference_of(alice)
        bob = bench.ua(server, 'bob', 'join', uri, more=['--interactive'], **hearing(660, 440))
        bob.wait('connected')
        Dawdler.delay = 6
        began = time.monotonic()
        alice.say(f'allow {devconfig.identity("bob")},{devconfig.identity("erin")}')
        refusal = alice.wait('reinvite-refused')
        took = time.monotonic() - began
        check(refusal['status'] == 500, f'500, found {refusal}')
        check(3.5 < took < 5.5, f'after four seconds, found {took:.1f}')
        check('the request that waits for it may (4 s)' in server.process.log(), 'the log says why')
        Dawdler.delay = 0
        alice.say(f'allow {devconfig.identity("bob")},{devconfig.identity("erin")}')
        alice.wait('keys-changed')
        refused(bench.ua(server, 'carol', 'join', uri), 403)
        alice.say('bye'), bob.say('bye')
        check(bob.ended() == 0, f'bob heard alice all the time: {bob.why()}')
        alice.ended()
    finally:
        between.shutdown()
        between.server_close()


def urls_of(server):
    """What conclavectl says about each address of the KMS."""
    return {row['url']: row for row in server.ctl('kms')['urls']}


@test('with two addresses of a KMS nobody notices that the first one is killed')
def two_addresses(bench):
    server = bench.server(own_kms=True)
    first, second = server.kms, server.second_kms()
    check(server.process.end() == 0, 'the server stops')
    server.set_options([('kms', 'url', f'{first.url};{second.url}'),
                        ('kms', 'breaker-failures', 2), ('kms', 'breaker-time', '1s')])
    server.start()
    alice, bob, uri = hold_conference(bench, server)
    calls = [ticket_holder(bench, server, uri, n) for n in range(5)]
    check(urls_of(server)[first.url]['requests'] == 2 and
          urls_of(server)[second.url]['requests'] == 0, f'the first is asked: {urls_of(server)}')

    first.process.signal(signal.SIGKILL)
    first.process.wait(5)
    bench.servers.remove(first.process)
    for number, call in enumerate(calls[:3]):
        carol = call()
        took = carol.wait('connected')['t']
        check(took < 2, f'the next call works at once, found {took} s')
        expect_good(carol)
        rows = urls_of(server)
        check(rows[second.url]['requests'] == number + 1, f'the second answers, found {rows}')
    check(rows[first.url]['failures'] >= 2 and rows[first.url]['last-error'],
          f'the first has failed, found {rows}')
    check(not rows[first.url]['next'] == 'yes' and rows[second.url]['next'] == 'yes',
          f'the second is preferred, found {rows}')
    log = server.process.log()
    check(f'KMS {first.url} is left alone after 2 failures' in log, 'the log tells it')

    # A call after the breaker's time looks whether the first is back; the next one goes there.
    first.start()
    wait_until(lambda: urls_of(server)[first.url]['state'] == 'looked at', 'time to look')
    expect_good(calls[3]())
    wait_until(lambda: urls_of(server)[first.url]['state'] == 'asked', 'the first is back')
    before = urls_of(server)
    expect_good(calls[4]())
    after = urls_of(server)
    check(after[first.url]['requests'] == before[first.url]['requests'] + 1 and
          after[second.url]['requests'] == before[second.url]['requests'],
          f'the first is asked again, found {after}')
    still_fine(alice, bob)


# ---- a KMS that keeps a list of conferences ----

def with_list(server):
    keys = server.read('kms-keys.conf')
    server.write('kms-keys.conf', set_option(keys, 'service conf1', 'conferences', 'list'), 0o600)


@test('R113: where the KMS keeps a list, conferences are announced before their creation, withdrawn after')
def listed(bench):
    port = bench.ports.take()
    server = bench.server(options=[('kms', 'announce', 'yes'), ('metrics', 'listen', port)],
                          prepare=with_list)
    alice = bench.ua(server, 'alice', 'create', tone=440, more=['--invite', devconfig.identity('bob')])
    uri = alice.wait('connected')['contact']
    bob = bench.ua(server, 'bob', 'join', uri, hear=[(440, -30)], duration=3)
    check(bob.ended() == 0, f'bob is in and hears alice, {bob.why()}')
    lounge = bench.ua(server, 'carol', 'join', server.lounge, duration=1)
    check(lounge.ended() in (0, 3), f'the scheduled room answers, {lounge.why()}')
    before = scrape(port)
    check(before['conclave_kms_announced'] >= 1 and
          before['conclave_kms_announcements_total{result="done"}'] >= 1 and
          before['conclave_kms_announcements_total{result="failed"}'] == 0 and
          before['conclave_kms_withdrawals_total{result="done"}'] == 0, f'metrics tell it: {before}')
    server.ctl('end', uri)
    check(alice.ended() == 0, f'alice was content, {alice.why()}')
    wait_until(lambda: scrape(port)['conclave_kms_withdrawals_total{result="done"}'] == 1 and
               scrape(port)['conclave_kms_announced'] == before['conclave_kms_announced'] - 1,
               'metrics tell that it was withdrawn')
    check('does not take this conference into its list' not in server.process.log(), 'all were taken')
    listing = [line for line in server.process.log().splitlines() if 'event=kms-decision' in line and
               'conf1@' in line and ('announce' in line or 'withdraw' in line)]
    check(any('announce' in line for line in listing), f'the KMS tells of announcements: {listing}')
    wait_until(lambda: any('withdraw' in line and uri.split(':')[1].split('@')[0] in line
                           for line in server.process.log().splitlines()), 'it was withdrawn')


@test('R113: where the KMS keeps a list and nobody announces, a creation fails cleanly')
def unlisted(bench):
    server = bench.server(prepare=with_list)
    alice = bench.ua(server, 'alice', 'create', more=['--invite', devconfig.identity('bob')])
    check(alice.ended() == 3, f'the creation is refused, {alice.why()}')
    check(alice.find('refused')[0]['status'] == 403, f'by 403, found {alice.why()}')
    wait_until(lambda: all(row['uri'] == server.lounge for row in server.conferences()),
               'and no conference is left')
