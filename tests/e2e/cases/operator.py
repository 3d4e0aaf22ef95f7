# SPDX-License-Identifier: Apache-2.0
"""conclavectl, reloads, and what the process gives away."""
import os
import re
import secrets
import signal
import stat
import subprocess

import devconfig
import sip
from cases.calls import conference_of, expect_good, policy_with
from cases.refusals import finish, refused, running, sdes_offer
from harness import check, test, wait_until


@test('conclavectl shows, removes and ends')
def control(bench):
    server = bench.server()
    status = server.ctl('status')
    check(status['legs'] == 0 and status['factory'] == server.factory, f'status: {status}')
    alice, uri = running(bench, server)
    bob = bench.ua(server, 'bob', 'join', uri)
    bob.wait('connected')
    row = next(row for row in server.conferences() if row['uri'] == uri)
    check(row['participants'] == 2 and row['creator'] == devconfig.identity('alice'),
          f'list: {row}')
    server.ctl('kick', uri, devconfig.identity('bob'))
    check(bob.wait('ended')['cause'] == 'bye', 'bob is gone')
    refused(bench.ua(server, 'bob', 'join', uri), 403)
    server.ctl('kick', uri, devconfig.identity('bob'), expect=1)
    server.ctl('show', 'sip:nothing@127.0.0.1', expect=1)
    for words in (['lock'], ['sing'], ['check-policy'], ['kms', 'all'], ['policy', 'shwo', 'x']):
        check('expected: ' in (told := server.ctl(*words, expect=2)) or 'unknown' in told, told)
    server.ctl('end', uri)
    check(alice.wait('ended')['cause'] == 'bye', 'alice is gone')
    socket = server.path('control')
    check(stat.S_IMODE(os.stat(socket).st_mode) & 0o007 == 0, 'strangers cannot use the socket')


@test('conclavectl tells what the policy says, and which line says it')
def why(bench):
    server = bench.server()
    alice, uri = running(bench, server, invite=('bob',))
    bob, carol = devconfig.identity('bob'), devconfig.identity('carol')
    verdict = server.ctl('why', bob, uri)
    check(verdict['verdict'] == 'allowed' and verdict['what'] == 'join', f'bob: {verdict}')
    verdict = server.ctl('why', carol, uri)
    check(verdict['reason'] == 'not-in-allowed-set' and 'ticket-authority' in verdict['rule'],
          f'carol: {verdict}')
    check(server.ctl('why', carol, uri, 'dial')['verdict'] == 'refused', 'nor is she called')
    check(server.ctl('why', bob, uri, 'refer')['reason'] == 'not-in-refer-allow', 'bob may not refer')
    check(server.ctl('why', bob, server.factory)['what'] == 'create', 'a factory is for creating')
    values = {row['key']: row for row in server.ctl('policy', 'show', uri)['values']}
    check(values['lobby'] == {'key': 'lobby', 'value': 'no', 'from': 'built-in'}, f'{values["lobby"]}')
    check(values['create-allow']['from'].startswith('policy.conf:'), f'{values["create-allow"]}')
    server.ctl('why', 'bob', uri, expect=1)
    server.ctl('why', bob, uri, 'sing', expect=1)
    server.ctl('why', bob, 'sip:nothing@127.0.0.1', expect=1)
    server.ctl('policy', 'show', 'factory', 'none', expect=1)
    server.ctl('admit', uri, bob, expect=1)
    finish(alice)


@test('a reloaded policy cuts who is no longer allowed')
def reload_cuts(bench):
    server = bench.server()
    alice, uri = running(bench, server, invite=('bob', 'carol'))
    bob = bench.ua(server, 'bob', 'join', uri)
    carol = bench.ua(server, 'carol', 'join', uri)
    bob.wait('connected')
    carol.wait('connected')
    server.write('policy.conf', policy_with(f'deny={devconfig.identity("bob")}'))
    server.process.signal(signal.SIGHUP)
    check(bob.wait('ended')['cause'] == 'bye', 'bob is cut')
    check(sorted(server.roster(uri)) == ['alice', 'carol'], 'the others stay')
    refused(bench.ua(server, 'bob', 'join', uri), 403)
    carol.hang_up()
    expect_good(carol)
    finish(alice)


@test('a policy with a mistake is refused with its line, and the old one stays')
def reload_mistake(bench):
    server = bench.server()
    server.write('policy.conf', policy_with('create-alow=*@example.org'))
    told = server.ctl('reload', expect=1)
    check(re.search(r'policy\.conf:\d+: .*create-alow', told), f'file and line, found {told}')
    server.alive()
    server.ctl('check-policy', server.path('policy.conf'), expect=1)


@test('a factory that is gone from the policy makes nothing more, and what it made lives on')
def deleted_factory(bench):
    server = bench.server()
    alice, uri = running(bench, server)
    server.write('policy.conf', '[policy]\nformat=1\n[factory other]\ncreate-allow=any\n'
                                'uri=sip:factory.other@example.org\n')
    server.ctl('reload')
    refused(bench.ua(server, 'carol', 'create', duration=1,
                     more=['--invite', devconfig.identity('bob')]), 404)
    expect_good(bench.ua(server, 'bob', 'join', uri, duration=1))
    finish(alice)


@test('check-config finds what would stop the start, in the files behind it, too')
def check_config(bench):
    server = bench.server()
    conf, good = server.path('conclave.conf'), server.read('conclave.conf')

    def check_says(*patterns, passes=False):
        found, daemon = (
            subprocess.run([bench.program(words[0]), *words[1:]], stderr=subprocess.PIPE,
                           stdout=subprocess.DEVNULL, text=True, timeout=20)
            for words in (('conclavectl', 'check-config', conf),
                          ('conclaved', '--check-config', '--config', conf)))
        check(found.returncode == daemon.returncode == (1 if patterns and not passes else 0),
              f'the verdict, found {found.stderr}')
        for pattern in patterns:
            check(re.search(pattern, found.stderr) and re.search(pattern, daemon.stderr),
                  f'{pattern} in {found.stderr}')
    check_says()
    server.write('conclave.conf', good.replace('udp:127.0.0.1:', 'udp:127.0.0.1:9')
                 .replace('realm=', 'trusted-peers=10.0.0.0/33\n'
                                    'outbound=sip:proxy.example.org\nrealm='))
    check_says(r'conclave\.conf:\d+: \[sip\] listen: found .udp:127',
               r'conclave\.conf:\d+: \[sip\] trusted-peers: found .10\.0\.0\.0/33',
               r'conclave\.conf:\d+: \[sip\] outbound: found .sip:proxy.*expected .* with ;lr')
    server.write('conclave.conf', good.replace('[kms]', '[kms]\nurl=ftp:x')
                 .replace('file=policy.conf', 'file=policies.conf\nstate-file=nowhere/state'))
    check_says(r'conclave\.conf:\d+: \[policy\] state-file: found .*nowhere/state.* No such file', r'conclave\.conf:\d+: \[kms\] url: .*ftp:x', r'policies\.conf.*No such file')
    # an embedded KMS that goes by another name would resolve nothing, ever
    server.write('conclave.conf', good.replace('uri=sip:kms@', 'uri=sip:kms.other@').replace(
        'listen=127.0.0.1:', 'listen=192.0.2.1:'))
    check_says(r'conclave\.conf:\d+: \[kms\] uri: found .sip:kms\.other@.*expected .sip:kms@',
               r'conclave\.conf:\d+: \[embedded-kms\] listen: .*plain HTTP beyond loopback')
    server.write('conclave.conf', good.replace('uri=sip:kms@', 'uri=kms@'))
    check_says(r'conclave\.conf: \[kms\] uri: found .kms@.*expected')
    server.write('conclave.conf', good)
    keys = server.read('kms-keys.conf')
    server.write('kms-keys.conf', keys.replace('[service conf1]', '[service conf2]'), 0o600)
    check_says(r'policy\.conf: \[factory adhoc\] uri: found .*expected the factory of a \[service\]',
               passes=True)
    server.write('kms-keys.conf', keys, 0o600)
    server.write('policy.conf', policy_with('create-alow=*@example.org'))
    os.chmod(server.path('tls/agent.pem'), 0o644)
    os.chmod(server.path('users.conf'), 0o604)
    os.chmod(server.path('keys/bob.psk'), 0o644)
    check_says(r'policy\.conf:\d+: .*create-alow', r'tls/agent\.pem: found mode 0644',
               r'users\.conf: found mode 0604', r'keys/bob\.psk: found mode 0644')


@test('edited policies and users are taken without being told')
def watched(bench):
    server = bench.server()
    server.write('policy.conf', policy_with('create-allow=nobody'))
    wait_until(lambda: 'policy' in server.process.log() and
               bench.ua(server, 'alice', 'create', duration=1, more=[
                   '--invite', devconfig.identity('bob')]).ended() == 3,
               'the new policy is in force', 20, every=0.5)
    users = server.read('users.conf')
    password = server.read('passwords/alice').strip()
    server.write('users.conf', users.replace('[user alice]', '[user alicia]'), 0o600)

    def alice_is_unknown():
        peer = sip.Peer(server.tls_port, 'tls')
        answer = sip.invite(peer, server.lounge, sdes_offer(), password=password)
        peer.close()
        return sip.status_of(answer) in (401, 403)
    wait_until(alice_is_unknown, 'the new users are in force', 20, every=0.5)


@test('a new key between server and KMS is taken without a restart')
def new_server_key(bench):
    server = bench.server()
    old = server.read('kms-keys.conf')
    head, tail = old.split('[user conf1]', 1)
    fresh = secrets.token_hex(32)
    server.write('kms-keys.conf',
                 head + '[user conf1]' + re.sub(r'(?m)^psk=.*$', 'psk=' + fresh, tail, count=1),
                 0o600)
    server.ctl('reload')
    check(server.read('kms-keys.conf') != old, 'the key was changed')
    server.alive()


@test('R033: files with keys that others can read stop the start')
def modes(bench):
    server = bench.server()
    for name in ('kms-keys.conf', 'users.conf', 'tls/agent.pem'):
        check(server.process.end() == 0, 'the server ends')
        os.chmod(server.path(name), 0o644)
        process = bench.spawn([bench.program('conclaved'), '--config', 'conclave.conf'],
                              server.folder, 'conclaved-' + name.replace('/', '-'))
        check(process.wait(20) == 1, f'{name} with mode 0644 is refused')
        check(re.search(re.escape(name) + r'.*0?644', process.log()),
              f'and the log says why, found {process.log()}')
        os.chmod(server.path(name), 0o600)
    server.start()
    server.alive()


@test('the process leaves no core and lets nobody trace it')
def no_core(bench):
    server = bench.server()
    pid = server.process.child.pid
    with open(f'/proc/{pid}/limits') as limits:
        line = next(line for line in limits if line.startswith('Max core file size'))
    check(line.split()[4:6] == ['0', '0'], f'no core file, found {line}')


@test('a running conference ends with BYE and status 0 when the server is stopped')
def stop(bench):
    server = bench.server()
    alice = bench.ua(server, 'alice', 'create', tone=440,
                     more=['--invite', devconfig.identity('bob')])
    bob = bench.ua(server, 'bob', 'join', conference_of(alice), tone=660)
    bob.wait('connected')
    check(server.process.end(5) == 0, f'status 0, found {server.process.child.returncode}')
    for ua in (alice, bob):
        check(ua.wait('ended')['cause'] == 'bye', f'{ua.name} got a BYE')
    expect_good(alice, bob)


@test('no key that the run knows stands in any log')
def no_key_in_logs(bench):
    server = bench.server()
    inline = 'q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNF'
    bench.secrets.add('base64:' + inline)
    peer = sip.Peer(server.tls_port, 'tls')
    password = server.read('passwords/alice').strip()
    for body in (sdes_offer(inline), sdes_offer(inline + '|2^48'), sdes_offer(inline[:-2])):
        sip.invite(peer, server.lounge, body, password=password)
    alice, uri = running(bench, server)
    refused(bench.ua(server, 'bob', 'join', uri, more=['--forge', 'bad-mac']), 488)
    finish(alice)
    check(len(bench.known_secrets()) > 15, 'the run knows keys and passwords')
    check(inline not in server.process.log(), 'SDES keys are not logged')
    log = server.process.log()
    check('debug' in log and len(log) > 1000, 'the log is as talkative as it can be')
