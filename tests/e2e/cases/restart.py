# SPDX-License-Identifier: Apache-2.0
"""Conferences that outlive the server (persist=yes), and who waits for the KMS."""
import os
import signal
import stat

import devconfig
from cases.calls import hearing, policy_with
from cases.doors import bye, create
from cases.refusals import refused, take_ticket
from harness import check, test, wait_until

identity = devconfig.identity


def keeping(bench):
    """A server that keeps its conferences in a file."""
    return bench.server(policy=policy_with('persist=yes\nempty-timeout=600s'),
                        options=[('policy', 'state-file', 'state')])


def settled(server, *words):
    """The state file, when it says all of this."""
    def read():
        text = server.read('state') if os.path.exists(server.path('state')) else ''
        return text if all(word in text for word in words) else None
    return wait_until(read, f'the state file says {words}')


def kill(bench, server):
    """Without a chance to save anything."""
    bench.servers.remove(server.process)
    server.process.signal(signal.SIGKILL)
    server.process.wait(10)


def works_again(bench, server, uri):
    """Its URI, creator and set are what they were."""
    row = next(row for row in server.conferences() if row['uri'] == uri)
    check(row['creator'] == identity('alice'), f'the creator is known: {row}')
    refused(bench.ua(server, 'dave', 'join', uri), 403)
    alice = bench.ua(server, 'alice', 'join', uri, tone=440, more=['--interactive'])
    alice.wait('connected')
    bob = bench.ua(server, 'bob', 'join', uri, duration=2, **hearing(660, 440))
    check(bob.ended() == 0, f'bob joins, and hears alice: {bob.why()}')
    return alice


@test('R087: persist=yes: URI, creator and allowed set outlive a restart and a crash, and no key is in the file')
def persistent(bench):
    server = keeping(bench)
    alice, uri = create(bench, server, 'bob', 'carol')
    carol = bench.ua(server, 'carol', 'join', uri)
    carol.wait('connected')
    text = settled(server, uri, identity('alice'), identity('bob'))
    check(stat.S_IMODE(os.stat(server.path('state')).st_mode) == 0o600, 'nobody else can read it')
    for secret in bench.known_secrets():
        check(secret not in text, 'the state file holds no key')
    server.ctl('kick', uri, identity('carol'))
    check(server.process.end() == 0, 'the server ends')
    check(f'banned={identity("carol")};' in server.read('state'), 'and writes what was new')
    alice.ended()
    server.start()
    alice = works_again(bench, server, uri)
    refused(bench.ua(server, 'carol', 'join', uri), 403)
    alice.say(f'allow {identity("bob")},{identity("erin")}')
    alice.wait('keys-changed')
    text = settled(server, identity('erin'))
    check(f'names={identity("bob")};{identity("erin")};' in text, f'replaced as a whole: {text}')
    kill(bench, server)
    server.start()
    erin = bench.ua(server, 'erin', 'join', uri, duration=0.5)
    check(erin.ended() == 0, f'erin is in the newer set: {erin.why()}')
    refused(bench.ua(server, 'carol', 'join', uri), 403)
    works_again(bench, server, uri)


@test('a damaged state file is told of and kept, and the server starts without it')
def damaged(bench):
    server = keeping(bench)
    alice, uri = create(bench, server, 'bob')
    settled(server, uri)
    check(server.process.end() == 0, 'the server ends')
    alice.ended()
    for text in ('\x00\x01 nonsense', '[conference x', '[state]\nformat=99\n'):
        server.write('state', text)
        server.start()
        check('state-damaged' in server.process.log() and
              server.read('state.damaged') == text, 'it is kept beside')
        server.process.end()
        os.remove(server.path('state.damaged'))
    server.start()
    server.alive()
    refused(bench.ua(server, 'bob', 'join', uri), 404)
    check(server.process.end() == 0, 'the server ends')
    server.write('state', '[state]\nformat=1\n' + ''.join(
        f'[conference {uri}]\nfactory=main\ncreator={identity("alice")}\n'
        for uri in ('nonsense', '%00', '%5B::1%5D', 'sip:', '%zz')))
    server.start()
    check('0 conferences restored, 5 could not be read' in server.process.log(),
          f'what names no URI is no conference: {server.process.log()[-2000:]}')
    server.alive()


@test('a conference with an IPv6 address in its URI is kept, and groups that nobody knows do no harm')
def ipv6_in_the_file(bench):
    uri = 'sip:c6.conf1@[::1]'
    group = '[conference sip:c6.conf1@%5B::1%5D]'
    server = keeping(bench)
    check(server.process.end() == 0, 'the server ends')
    server.write('state', f'[state]\nformat=1\n[future sip:x@%5B::1%5D]\nfactory=adhoc\n\n{group}\n'
                          f'factory=adhoc\ncreator={identity("alice")}\nnames={identity("bob")};\n')
    for _ in range(2):
        server.start()
        check('1 conferences restored, 0 could not be read' in server.process.log(),
              f'it is read: {server.process.log()[-2000:]}')
        row = next(row for row in server.conferences() if row['uri'] == uri)
        check(row['creator'] == identity('alice'), f'with its creator: {row}')
        check(server.process.end() == 0, 'the server ends')
        text = server.read('state')
        check(group in text and '[future' not in text, f'and written so that it can be read: {text}')


@test('without persist=yes nothing is kept of a conference')
def not_kept(bench):
    server = bench.server(options=[('policy', 'state-file', 'state')])
    alice, uri = create(bench, server, 'bob')
    alice.say('sleep 0.5', 'bye')
    alice.ended()
    check(server.process.end() == 0, 'the server ends')
    check(not os.path.exists(server.path('state')) or uri not in server.read('state'), 'nothing')
    server.start()
    refused(bench.ua(server, 'bob', 'join', uri), 404)


@test('one caller cannot keep the KMS busy: with five questions of his outstanding the sixth gets 503')
def per_source(bench):
    server = bench.server(own_kms=True, policy=policy_with('kms-timeout=20s\n'
                                                           'max-endpoints-per-user=10'),
                          options=[('kms', 'per-source', 5), ('kms', 'per-conference', 50),
                                   ('kms', 'timeout', '20s')])
    alice, uri = create(bench, server, 'bob', 'carol')

    def holder(name, number, address):
        path = f'{bench.folder}/{name}-{number}.ticket'
        take_ticket(bench, server, name, uri, path)
        return lambda: bench.ua(server, name, 'join', uri, keys=False, more=[
            '--ticket-file', path, '--listen', address, '--interactive'])
    bobs = [holder('bob', n, '127.0.0.21') for n in range(6)]
    carol = holder('carol', 0, '127.0.0.22')
    server.kms.freeze()
    calls = [call() for call in bobs[:5]]
    for call in calls:
        call.wait('calling')
    wait_until(lambda: server.ctl('status')['legs'] == 6, 'five wait for the KMS')
    event = refused(bobs[5](), 503)
    check(event.get('retry_after', 0) > 0, f'with a Retry-After, found {event}')
    other = carol()
    other.wait('calling')
    wait_until(lambda: server.ctl('status')['legs'] == 7, 'carol is not refused')
    server.kms.thaw()
    for call in (*calls, other):
        call.wait('connected')
    bye(*calls, other, alice)


@test('strangers with tickets cannot keep the KMS from those who may come')
def share_of_strangers(bench):
    server = bench.server(own_kms=True, policy=policy_with('kms-timeout=20s'),
                          options=[('kms', 'per-conference', 4), ('kms', 'timeout', '20s')])
    alice, uri = create(bench, server, 'bob')

    def holder(name, number):
        path = f'{bench.folder}/{name}-{number}.ticket'
        take_ticket(bench, server, name, uri, path)
        return lambda: bench.ua(server, name, 'join', uri, keys=False, more=[
            '--ticket-file', path, '--listen', f'127.0.0.{30 + number}', '--interactive'])
    daves, bobs = [holder('dave', n) for n in range(2)], [holder('bob', n) for n in range(2, 5)]
    server.kms.freeze()
    dave = daves[0]()
    dave.wait('calling')
    wait_until(lambda: server.ctl('status')['legs'] == 2, 'one stranger is asked about')
    refused(daves[1](), 503)
    calls = [call() for call in bobs[:2]]
    for call in calls:
        call.wait('calling')
    wait_until(lambda: server.ctl('status')['legs'] == 4, 'who may come is, too')
    refused(bobs[2](), 503)
    server.kms.thaw()
    for call in calls:
        call.wait('connected')
    refused(dave, 403)
    bye(*calls, alice)


@test('a dialog that a stranger names in his REFER gives him no larger share of the KMS')
def share_of_who_names_a_dialog(bench):
    server = bench.server(own_kms=True, policy=policy_with('kms-timeout=20s'),
                          options=[('kms', 'per-conference', 4), ('kms', 'timeout', '20s')])
    alice, uri = create(bench, server, 'bob')
    paths = [f'{bench.folder}/dave-{n}.ticket' for n in range(2)]
    take_ticket(bench, server, 'dave', uri, paths[0])
    take_ticket(bench, server, 'dave', uri, paths[1], more=[
        '--for', identity('carol'), '--purpose', 'refer'])
    server.kms.freeze()
    dave = bench.ua(server, 'dave', 'join', uri, keys=False,
                    more=['--ticket-file', paths[0], '--listen', '127.0.0.30', '--interactive'])
    dave.wait('calling')
    wait_until(lambda: server.ctl('status')['legs'] == 2, 'one stranger is asked about')
    other = bench.ua(server, 'dave', 'refer', uri, keys=False, more=[
        '--ticket-file', paths[1], '--listen', '127.0.0.31', '--refer-to', identity('carol'),
        '--target-dialog', alice.find('connected')[0]['dialog']])
    answer = other.wait('refer-answered')
    check(answer['status'] == 503, f'the second waits for his turn, found {answer}')
    server.kms.thaw()
    refused(dave, 403)
    bye(alice)
