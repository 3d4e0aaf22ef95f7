# SPDX-License-Identifier: Apache-2.0
"""Behind an S-CSCF: Kamailio challenges, asserts who calls, and routes to the server."""
import re
import uuid

import devconfig
import sip
from cases.attacks import CRYPTO
from cases.calls import conference_of, expect_good, hearing, policy_with
from cases.refusals import refused
from harness import check, levels, test, wait_until
from kamailio import DOMAIN, HOST, Kamailio

BEHIND = policy_with('signalling=trusted', 'auth=either')


def behind(bench, transport='udp', policy=BEHIND, options=()):
    """A server and the Kamailio before it, which alone it trusts; they talk over @transport."""
    scscf = Kamailio(bench, transport)
    server = bench.server(policy=policy, options=options, prepare=scscf.trust)
    return server, scscf.start(server)


def caller(bench, server, scscf, name, verb, target=None, transport='udp', user=None, more=(),
           **rest):
    """A conclave-ua that calls through the S-CSCF with the password of @user."""
    return bench.ua(server, name, verb, target, more=[
        '--proxy', scscf.proxy(transport), *scscf.credentials(server, user or name), *more], **rest)


def conference_behind(bench, transport):
    server, scscf = behind(bench, transport)
    alice = caller(bench, server, scscf, 'alice', 'create', transport=transport, duration=6,
                   **hearing(440, 660), more=['--invite', devconfig.identity('bob'),
                                              '--measure-from', '2', '--measure-for', '2'])
    uri = conference_of(alice)
    bob = caller(bench, server, scscf, 'bob', 'join', uri, transport=transport, duration=4.5,
                 **hearing(660, 440), more=['--measure-from', '1', '--measure-for', '2'])
    bob.wait('connected')
    roster = wait_until(lambda: len(server.roster(uri)) == 2 and server.roster(uri), 'two are in')
    check(all(row['proof'] == 'ticket' for row in roster.values()), f'by ticket, found {roster}')
    expect_good(bob, alice)
    for name in ('alice', 'bob'):
        check(scscf.saw(rf'ASSERTS <sip:{name}@{DOMAIN}>'), f'{name} was asserted')
    check(scscf.saw('SAW BYE'), 'BYE follows the recorded route')
    check(scscf.saw(r'SAW ACK'), 'and so does ACK')
    check(re.search(r'P-Charging-Vector: icid-value=\S', server.process.log()),
          'what the core adds is logged')
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'no leg is left')


@test('behind an S-CSCF a conference is made and joined by ticket, over UDP')
def by_ticket_udp(bench):
    conference_behind(bench, 'udp')


@test('behind an S-CSCF a conference is made and joined by ticket, over TCP')
def by_ticket_tcp(bench):
    conference_behind(bench, 'tcp')


@test('behind an S-CSCF a softphone is challenged there, and its asserted identity lets it in')
def softphone(bench):
    server, scscf = behind(bench, 'tls')
    phone = bench.baresip(server, 'alice', 500, account=(
        f'<sip:alice@{DOMAIN};transport=udp>;outbound="{scscf.proxy()}";regint=600;'
        f'auth_user=alice;auth_pass={scscf.password(server, "alice")};'
        'mediaenc=srtp-mand;audio_codecs=PCMA'))
    wait_until(lambda: scscf.saw('REGISTERED <sip:alice@'), 'she is registered')
    phone.control.cmd('dial', server.lounge)
    phone.wait('CALL_ESTABLISHED')
    row = server.roster(server.lounge)['alice']
    check((row['keys'], row['proof']) == ('sdes', 'asserted'), f'asserted, found {row}')
    bob = caller(bench, server, scscf, 'bob', 'join', server.lounge, duration=5,
                 **hearing(800, 500), more=['--measure-from', '1', '--measure-for', '3'])
    bob.wait('connected')
    phone.pump(5)
    expect_good(bob)
    phone.quit()
    found = levels(phone.recording(), (500, 800), skip=2, seconds=3)
    check(found[800] > -30 > -45 > found[500], f'she heard bob and not herself, found {found}')
    check(scscf.saw('ASSERTS <sip:alice@'), 'and was asserted')


def register(scscf, server, name, password=None):
    """The final status of a REGISTER."""
    peer = sip.Peer(scscf.access, host=HOST)
    call, authorization, uri = uuid.uuid4().hex, '', f'sip:{DOMAIN}'
    for cseq in (1, 2):
        text = sip.request(peer, 'REGISTER', uri, call, cseq, 'Expires: 60\n' + authorization,
                           user=name)
        peer.send(re.sub(r'(?m)^To: .*$', f'To: <sip:{name}@{DOMAIN}>', text))
        answer = peer.receive(5) or ''
        if sip.status_of(answer) != 401:
            return sip.status_of(answer)
        authorization = sip.digest(sip.header(answer, 'WWW-Authenticate'), name,
                                   password or scscf.password(server, name), 'REGISTER', uri)
    return sip.status_of(answer)


def sdes_call(scscf, server, uri, name, extra='', password=None):
    """The final answer to an INVITE with SDES through the S-CSCF."""
    peer = sip.Peer(scscf.access, host=HOST)
    return sip.invite(peer, uri, sip.sdp(CRYPTO % ('A' * 40)), extra=extra, user=name,
                      password=password or scscf.password(server, name))


@test('behind an S-CSCF nobody comes in without the password that it asks for')
def wrong_password(bench):
    server, scscf = behind(bench, 'tls')
    check(register(scscf, server, 'bob') == 200, 'bob registers')
    check(register(scscf, server, 'bob', 'wrong') == 401, 'with his password alone')
    answer = sdes_call(scscf, server, server.lounge, 'bob', password='wrong')
    check(sip.status_of(answer) == 407, f'so does he call, found {answer}')
    check(server.ctl('status')['legs'] == 0, 'the server has not been bothered')
    answer = sdes_call(scscf, server, server.lounge, 'bob')
    check(sip.status_of(answer) == 200, f'the right one lets him in, found {answer}')
    check('record-route' in answer.lower(), 'by a recorded route')


@test('behind an S-CSCF a forged P-Asserted-Identity is taken off, and around it is not believed')
def forged_assertion(bench):
    server, scscf = behind(bench, 'tls')
    forged = f'P-Asserted-Identity: <sip:carol@{DOMAIN}>\n'
    answer = sdes_call(scscf, server, server.lounge, 'alice', forged)
    check(sip.status_of(answer) == 200, f'alice gets in, found {answer}')
    check(scscf.saw(f'SAW INVITE.*PAI <<sip:carol@{DOMAIN}>>'), 'the forgery came')
    check(sorted(server.roster(server.lounge)) == ['alice'], 'as alice and not as carol')
    around = sip.Peer(server.sip_port)
    answer = sip.invite(around, server.lounge, sip.sdp(CRYPTO % ('A' * 40)), extra=forged)
    check(sip.status_of(answer) in (401, 403), f'who goes around is refused, found {answer}')
    check(sorted(server.roster(server.lounge)) == ['alice'], 'and is not in')


@test('a ticket that proves somebody else than the asserted identity gets 403')
def two_identities(bench):
    server, scscf = behind(bench)
    alice = caller(bench, server, scscf, 'alice', 'create', tone=440,
                   more=['--invite', devconfig.identity('bob'), '--invite',
                         devconfig.identity('carol')])
    uri = conference_of(alice)
    refused(caller(bench, server, scscf, 'bob', 'join', uri, user='carol'), 403)
    check(sorted(server.roster(uri)) == ['alice'], 'nobody came in')
    other = caller(bench, server, scscf, 'bob', 'create', user='carol',
                   more=['--invite', devconfig.identity('carol')])
    refused(other, 403)
    bob = caller(bench, server, scscf, 'bob', 'join', uri, duration=1)
    expect_good(bob)
    alice.hang_up()
    expect_good(alice)


@test('behind an S-CSCF hold, resume and the end by the server follow the recorded route')
def recorded_route(bench):
    server, scscf = behind(bench)
    alice = caller(bench, server, scscf, 'alice', 'create', tone=440,
                   more=['--invite', devconfig.identity('bob')])
    uri = conference_of(alice)
    bob = caller(bench, server, scscf, 'bob', 'join', uri, tone=660, more=[
        '--hold', 'inactive', '--hold-after', '1', '--resume-after', '2'])
    bob.wait('held')
    bob.wait('resumed')
    before = len(scscf.saw('SAW INVITE'))
    check(before >= 6, f'both calls, both re-INVITEs went through it, found {before}')
    server.ctl('end', uri)
    for ua in (alice, bob):
        check(ua.wait('ended')['cause'] == 'bye', f'{ua.name} got a BYE')
    expect_good(alice, bob)
    byes = scscf.saw(f'SAW BYE .* at {scscf.service}')
    check(len(byes) >= 2, f'the BYEs came from the server by the service port, found {byes}')


@test('behind an S-CSCF a scripted caller re-keys by UPDATE, refreshes, holds and leaves')
def scripted(bench):
    server, scscf = behind(bench, 'tls')
    caller_by_script = bench.sipp(
        'uac_update', f'{HOST}:{scscf.access}', user='alice', service='lounge.conf1',
        domain=devconfig.HOST, password=scscf.password(server, 'alice'))
    caller_by_script.good()
    check(scscf.saw('ASSERTS <sip:alice@'), 'she was asserted')
    check(len(scscf.saw('SAW UPDATE')) == 2, 'both UPDATEs followed the route')
    wait_until(lambda: not server.roster(server.lounge), 'and is gone')
