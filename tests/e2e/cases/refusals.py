# SPDX-License-Identifier: Apache-2.0
"""Who must not get in, and what he is told."""
import re

import devconfig
import sip
from cases.calls import conference_of, expect_good, policy_with
from harness import check, test, wait_until


def refused(ua, *statuses):
    """The refusal event, with one of these statuses."""
    check(ua.ended() == 3, f'{ua.name} is refused, found {ua.why()}')
    event = ua.find('refused')[0]
    check(event['status'] in statuses, f'{ua.name} gets {statuses}, found {event}')
    return event


def running(bench, server, invite=('bob',)):
    """A conference of alice, and its URI."""
    names = [word for name in invite for word in ('--invite', devconfig.identity(name))]
    alice = bench.ua(server, 'alice', 'create', tone=440, more=names)
    return alice, conference_of(alice)


def finish(alice):
    alice.hang_up()
    expect_good(alice)


@test('R044 R046 R063 R065: a plain RTP offer gets 488 and a Warning that says why')
def plain(bench):
    server = bench.server()
    ua = bench.ua(server, 'alice', 'create', more=['--keymgmt', 'none'])
    event = refused(ua, 488)
    check('secured media' in (event.get('warning') or ''), f'a Warning says why, found {event}')
    peer = sip.Peer(server.tls_port, 'tls')
    answer = sip.invite(peer, server.lounge, sip.sdp('m=audio 40000 RTP/AVP 8\r\n'),
                        password=server.read('passwords/alice').strip())
    check(sip.status_of(answer) == 488, f'488 for a softphone, too, found {answer}')
    check('secured media' in sip.header(answer, 'Warning'), f'with a Warning, found {answer}')
    peer.close()
    server.alive()


@test('secured media as a mere possibility (RFC 5939) get 488, and the log says what is missing')
def potentially_secured(bench):
    server = bench.server()
    peer = sip.Peer(server.tls_port, 'tls')
    answer = sip.invite(peer, server.lounge, sip.sdp(
        'a=tcap:1 RTP/SAVP\r\na=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:' + 'A' * 40 + '\r\n'
        'm=audio 40000 RTP/AVP 8\r\na=pcfg:1 t=1 a=1\r\n'),
        password=server.read('passwords/alice').strip())
    check(sip.status_of(answer) == 488, f'488, found {answer}')
    check('secured media' in sip.header(answer, 'Warning'), f'with a Warning, found {answer}')
    check('RFC 5939' in server.process.log(), 'the operator sees what the phone tried')
    peer.close()
    server.alive()


@test('R044 R046: a softphone without encryption is told 488, and is not in')
def plain_phone(bench):
    server = bench.server()
    phone = bench.baresip(server, 'alice', 500, encryption='none')
    phone.dial(server.lounge)
    closed = phone.wait('CALL_CLOSED')
    check('488' in closed['param'], f'it is told 488, found {closed}')
    check(not server.roster(server.lounge), 'and nobody is in')
    phone.quit()


def sdes_offer(key='A' * 40):
    return sip.sdp('m=audio 40000 RTP/SAVP 8\r\n'
                   f'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n')


@test('who does not say who he is gets a challenge, and a wrong password nothing more')
def passwords(bench):
    server = bench.server()
    peer = sip.Peer(server.tls_port, 'tls')
    first = sip.invite(peer, server.lounge, sdes_offer())
    check(sip.status_of(first) == 401, f'no credentials: 401, found {first}')
    check('Digest' in sip.header(first, 'WWW-Authenticate'), f'with a challenge, found {first}')
    wrong = sip.invite(peer, server.lounge, sdes_offer(), password='wrong')
    check(sip.status_of(wrong) in (401, 403), f'a wrong password: refused, found {wrong}')
    stranger = sip.invite(peer, server.lounge, sdes_offer(), user='mallory', password='x')
    check(sip.status_of(stranger) in (401, 403), f'an unknown name: refused, found {stranger}')
    right = sip.invite(peer, server.lounge, sdes_offer(),
                       password=server.read('passwords/alice').strip())
    check(sip.status_of(right) == 200, f'the right password: 200, found {right}')
    check(sorted(server.roster(server.lounge)) == ['alice'], 'alice is in, and nobody else')
    peer.close()
    phone = bench.baresip(server, 'bob', 500, password='wrong')
    phone.dial(server.lounge)
    closed = phone.wait('CALL_CLOSED')
    check(re.search('40[13]', str(closed)), f'a softphone is refused, too, found {closed}')
    phone.quit()


@test('a name that is not on the list gets 403 in spite of the right password')
def not_on_list(bench):
    server = bench.server(policy=policy_with('', f'allow={devconfig.identity("bob")}'))
    peer = sip.Peer(server.tls_port, 'tls')
    answer = sip.invite(peer, server.lounge, sdes_offer(),
                        password=server.read('passwords/alice').strip())
    check(sip.status_of(answer) == 403, f'403, found {answer}')
    check(not server.roster(server.lounge), 'the lounge is empty')


@test('SDES over UDP is refused: its keys would be readable')
def sdes_in_the_clear(bench):
    server = bench.server()
    peer = sip.Peer(server.sip_port)
    answer = sip.invite(peer, server.lounge, sdes_offer(),
                        password=server.read('passwords/alice').strip())
    check(sip.status_of(answer) in (403, 488), f'refused, found {answer}')
    check(not server.roster(server.lounge), 'the lounge is empty')


@test('R056 R062 R086 R101: a stranger with a valid ticket gets 403')
def stranger(bench):
    server = bench.server()
    alice, uri = running(bench, server, invite=('bob',))
    refused(bench.ua(server, 'carol', 'join', uri, tone=1000), 403)
    check(sorted(server.roster(uri)) == ['alice'], 'only alice is in')
    bob = bench.ua(server, 'bob', 'join', uri, duration=1)
    expect_good(bob)
    finish(alice)


@test('R089 R099 R133: a forged TRANSFER_INIT gets 488, whatever is forged')
def forged(bench):
    server = bench.server()
    alice, uri = running(bench, server)
    for how in ('bad-mac', 'bad-vi', 'expired', 'no-sdp-ids'):
        refused(bench.ua(server, 'bob', 'join', uri, more=['--forge', how]), 488)
    check(server.process.log().count('event=auth-failure') == 2,
          'the operator hears of those whose MACs are wrong')
    # carol has stolen the ticket that bob got, but not its keys.
    ticket = bench.folder + '/bob.ticket'
    keeper = bench.ua(server, 'bob', 'join', uri, duration=1,
                      more=['--save-message', bench.folder + '/bob.message'])
    expect_good(keeper)
    take_ticket(bench, server, 'bob', uri, ticket)
    thief = bench.ua(server, 'carol', 'join', uri, keys=False,
                     more=['--ticket-file', ticket, '--forge', 'stolen-ticket'])
    refused(thief, 488)
    check(sorted(server.roster(uri)) == ['alice'], 'only alice is in')
    finish(alice)
    server.alive()


def take_ticket(bench, server, name, uri, path, more=()):
    from harness import Ua, mikey_arguments
    ua = Ua(bench, name, ['ticket', '--for', uri, '--ticket-file', path,
                          *mikey_arguments(server, name), *more], bench.folder)
    check(ua.ended() == 0, f'{name} gets a ticket, found {ua.why()}')


@test('a replayed INVITE is refused')
def replayed(bench):
    server = bench.server()
    alice, uri = running(bench, server)
    message = bench.folder + '/message'
    bob = bench.ua(server, 'bob', 'join', uri, duration=1, more=['--save-message', message])
    expect_good(bob)
    again = bench.ua(server, 'bob', 'join', uri,
                     more=['--forge', 'replay', '--message-file', message])
    refused(again, 488, 403)
    finish(alice)


@test('R090 R118 R131: who may not create conferences gets 403')
def may_not_create(bench):
    server = bench.server(policy=policy_with(f'create-allow={devconfig.identity("alice")}'))
    guest = ['--invite', devconfig.identity('carol')]
    refused(bench.ua(server, 'bob', 'create', more=guest), 403)
    alice, _ = running(bench, server)
    finish(alice)
    # The KMS may say so, too.
    keys = server.read('kms-keys.conf')
    before, after = keys.split('[user alice]')
    server.write('kms-keys.conf', before + '[user alice]' +
                 after.replace('secure-conference=yes', 'secure-conference=no', 1), 0o600)
    server.ctl('reload')
    ua = bench.ua(server, 'alice', 'create', more=guest)
    check(ua.ended() in (3, 5), f'alice is refused, found {ua.why()}')
    if ua.status == 3:
        check(ua.find('refused')[0]['status'] == 403, f'with 403, found {ua.why()}')


@test('a conference that does not exist is not found')
def absent(bench):
    server = bench.server()
    for uri in ('sip:aaaaaaaaaaaaaaaaaaaaaaaa.conf1@127.0.0.1', 'sip:nobody@127.0.0.1'):
        refused(bench.ua(server, 'alice', 'join', uri), 404)
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'nothing is left behind')


@test('R056 R062: who is in the set dials in, and who is not gets 403 when he is proven')
def listed(bench):
    server = bench.server()
    alice, uri = running(bench, server)
    event = refused(bench.ua(server, 'carol', 'join', uri), 403)
    check(event['status'] == 403, f'403, found {event}')
    check('not-in-allowed-set' in server.process.log(), 'for what she is')
    bob = bench.ua(server, 'bob', 'join', uri, duration=1)
    expect_good(bob)
    check(sorted(server.roster(uri)) == ['alice'], 'carol was never in')
    finish(alice)


@test('R061: who hides his name from the conference gets 433, unless the policy hides it')
def anonymous(bench):
    for rule, status in (('reject', 433), ('hide', None)):
        proxy = bench.proxy()
        server = bench.server(policy=policy_with(f'anonymity={rule}'),
                              options=[('sip', 'trusted-peers', proxy.host)])
        proxy.route(r'.*\.' + devconfig.SERVICE, ('udp', '127.0.0.1', server.sip_port))
        proxy.when('INVITE', fits=lambda m: not m.in_dialog).edit(
            lambda m: m.add('P-Asserted-Identity', f'<{devconfig.identity("bob")}>'))
        alice, uri = running(bench, server)
        bob = bench.ua(server, 'bob', 'join', uri, duration=1,
                       more=['--privacy', 'id', '--proxy', proxy.uri()])
        if status is None:
            expect_good(bob)
        else:
            event = refused(bob, status)
            check(event['phrase'] == 'Anonymity Disallowed', f'with these words, found {event}')
        # nobody has said who calls, and no ticket will: who wants to hide that is told so
        for extra, wanted in (('Privacy: id\n', 433), ('', 488)):
            answer = sip.invite(sip.Peer(server.tls_port, 'tls'), uri, sdes_offer(), extra=extra)
            check(sip.status_of(answer) == wanted, f'{wanted} with {extra!r}, found {answer}')
        finish(alice)


@test('R044 R063: a secured profile without any keys is unsecured, and hears so')
def unkeyed(bench):
    server = bench.server()
    alice, uri = running(bench, server)
    offer = re.sub(rb'a=crypto:[^\r]*\r\n', b'', sdes_offer())
    answer = sip.invite(sip.Peer(server.tls_port, 'tls'), uri, offer)
    check(sip.status_of(answer) == 488, f'488, found {answer}')
    check('305 ' in answer and 'secured media required' in answer, f'and why, found {answer}')
    finish(alice)


@test('R065: an m-line that is not secured is refused, and the secured one beside it is taken')
def one_secured(bench):
    server = bench.server()
    offer = sdes_offer() + b'm=video 40002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n'
    answer = sip.invite(sip.Peer(server.tls_port, 'tls'), server.lounge, offer,
                        password=server.read('passwords/alice').strip())
    check(sip.status_of(answer) == 200, f'she is in, found {answer}')
    lines = re.findall(r'(?m)^m=(\w+) (\d+) (\S+)', answer)
    check([(kind, port != '0') for kind, port, _ in lines] == [('audio', True), ('video', False)],
          f'the video is refused, found {lines}')
