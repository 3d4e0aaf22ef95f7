# SPDX-License-Identifier: Apache-2.0
"""What SIP can do besides INVITE and 200: redirection, 100rel, preconditions, Replaces, Join, glare."""
import re
import uuid

import devconfig
import sip
from cases.allowed import ticket_of_alice
from cases.calls import HEARD, hearing, policy_with
from cases.clauses import Call, media
from cases.doors import bye, create
from cases.invited import Network
from cases.lists import through
from cases.refusals import refused
from harness import check, test, wait_until

identity = devconfig.identity


@test('R096: variant C: creation=redirect gives 302 with the focus and a TRANSFER_RESP; the ticket opens it')
def redirection(bench):
    net = Network(bench, policy=policy_with('creation=redirect'))
    server = net.server
    ticket = ticket_of_alice(bench, server, 'create', server.factory, identity('bob'),
                             more=['--reusable'])
    ua = bench.ua(server, 'alice', 'create', more=[*through(net), *ticket])
    check(ua.ended() in (3, 5), f'it is no call yet: {ua.why()}')
    answer = net.proxy.find('INVITE', status=302)[0].message
    contact = answer.get('contact')
    check(contact.endswith(';isfocus') and 'factory' not in contact, f'a focus, found {contact}')
    check(answer.get('content-type') == 'application/mikey' and answer.body,
          f'with a TRANSFER_RESP, found {answer.headers}')
    uri = re.sub(r'^<(sips?:[^;:>]+@[^;:>]+).*', r'\1', contact)
    check([row['creator'] for row in server.conferences() if row['uri'] == uri] ==
          [identity('alice')], f'it is there: {server.conferences()}')
    refused(bench.ua(server, 'carol', 'join', uri), 403)
    alice = bench.ua(server, 'alice', 'join', uri, tone=440, more=[*ticket, '--interactive'])
    alice.wait('connected')
    bob = bench.ua(server, 'bob', 'join', uri, duration=2, **hearing(660, 440))
    check(bob.ended() == 0, f'bob hears alice: {bob.why()}')
    bye(alice)


@test('100rel: the TRANSFER_RESP comes in a reliable 183, PRACK, and then a 200 without SDP')
def reliable(bench):
    net = Network(bench)
    alice, uri = create(bench, net.server, 'bob')
    bob = bench.ua(net.server, 'bob', 'join', uri, more=[*through(net), '--require-100rel',
                                                         '--interactive'], **hearing(660, 440))
    bob.wait('connected')
    early = net.proxy.find('INVITE', status=183)
    check(early and early[0].message.get('rseq') and b'a=key-mgmt:mikey' in early[0].message.body,
          f'the answer with keys is in the 183: {net.proxy.story()}')
    check(net.proxy.find('PRACK'), f'it is acknowledged: {net.proxy.story()}')
    final = net.proxy.find('INVITE', status=200)[0].message
    check(not final.body, f'and the 200 has none: {final.body}')
    bob.say('sleep 1.5')
    bye(bob, alice)


@test('preconditions are met by UPDATE before anybody is in')
def preconditions(bench):
    net = Network(bench)
    alice, uri = create(bench, net.server, 'bob')
    bob = bench.ua(net.server, 'bob', 'join', uri, more=[*through(net), '--preconditions',
                                                         '--interactive'], **hearing(660, 440))
    bob.wait('connected')
    early = net.proxy.find('INVITE', status=183)[0]
    text = early.message.body.decode()
    check('a=curr:qos' in text and 'a=conf:qos' in text, f'the 183 tells of them: {text}')
    update = net.proxy.find('UPDATE')
    final = net.proxy.find('INVITE', status=200)[0]
    check(update and early.at < update[0].at < final.at, f'then UPDATE, then 200: {net.proxy.story()}')
    bob.say('sleep 1.5')
    bye(bob, alice)


@test('Replaces takes over a seat of its own user; of another user it gets 403, of nobody 481')
def replaces(bench):
    server = bench.server(policy=policy_with('max-endpoints-per-user=1'))
    alice, uri = create(bench, server, 'bob', 'carol')
    bob = bench.ua(server, 'bob', 'join', uri, tone=660)
    dialog = bob.wait('connected')['dialog']
    refused(bench.ua(server, 'bob', 'join', uri), 486)
    refused(bench.ua(server, 'carol', 'join', uri, more=['--replaces', dialog]), 403)
    refused(bench.ua(server, 'bob', 'join', uri, more=[
        '--replaces', re.sub('remote-tag=.*', 'remote-tag=nobody', dialog)]), 481)
    check(bob.process.running() and 'bob' in server.roster(uri), 'he is still there')
    other = bench.ua(server, 'bob', 'join', uri, more=['--replaces', dialog, '--interactive'],
                     **hearing(880, 440))
    other.wait('connected')
    end = bob.wait('ended')
    check('replaced' in end['reason'], f'the first phone is told: {end}')
    check(len(server.ctl('show', uri)['participants']) == 2, 'he is there once')
    other.say('sleep 1.5')
    bye(other, alice)


@test('Join to a dialog of a conference is a dial-in to it; what nobody supports is 420')
def joins(bench):
    server = bench.server()
    alice, uri = create(bench, server, 'bob')
    dialog = alice.find('connected')[0]['dialog']
    bob = bench.ua(server, 'bob', 'join', uri, more=['--join', dialog, '--interactive'],
                   **hearing(660, 440))
    bob.wait('connected')
    refused(bench.ua(server, 'carol', 'join', uri, more=['--join', dialog]), 403)
    refused(bench.ua(server, 'bob', 'join', uri, more=['--header', 'Require: teleport']), 420)
    bob.say('sleep 1.5')
    bye(bob, alice)


@test('glare: while an offer of ours is unanswered another one gets 491, and after the answer it is taken')
def glare(bench):
    server = bench.server()
    call = Call(server, server.lounge)
    check(sip.status_of(call.offer(media())) == 200, 'the call stands')
    call.cseq += 1
    number = call.cseq
    call.peer.send(sip.request(call.peer, 'INVITE', call.uri, call.call, number, '', call.tag,
                               'z9hG4bK' + uuid.uuid4().hex))
    offered = call.peer.receive()
    while sip.status_of(offered) in range(100, 200):
        offered = call.peer.receive()
    check(sip.status_of(offered) == 200 and 'm=audio' in offered, f'an offer, found {offered}')

    def update():
        call.cseq += 1
        call.peer.send(sip.request(call.peer, 'UPDATE', call.uri, call.call, call.cseq,
                                   'Content-Type: application/sdp\n', call.tag), media('sendonly'))
        answer = call.peer.receive()
        while answer is not None and 'UPDATE' not in sip.header(answer, 'CSeq'):
            answer = call.peer.receive()  # the 200 once more
        return sip.status_of(answer or '')
    check(update() == 491, 'glare')
    target = re.search(r'<([^>]+)>', sip.header(offered, 'Contact')).group(1)
    call.peer.send(sip.request(call.peer, 'ACK', target, call.call, number,
                               'Content-Type: application/sdp\n', call.tag), media())
    check(update() == 200, 'and then it is taken')
    wait_until(lambda: server.roster(server.lounge)['alice']['state'] == 'on-hold', 'on hold')
    call.hang_up()


@test('R046 R063: a re-offer of plain RTP gets 488 by re-INVITE and by UPDATE, and the call stays as it was')
def plain_reoffer(bench):
    server = bench.server()
    call = Call(server, server.lounge)
    check(sip.status_of(call.offer(media())) == 200, 'the call stands')
    carol = bench.ua(server, 'carol', 'join', server.lounge, tls=True, more=['--interactive'])
    carol.wait('connected')
    for method in ('INVITE', 'UPDATE'):
        answer = call.offer(sip.sdp('m=audio 40000 RTP/AVP 8\r\n'), method)
        check(sip.status_of(answer) == 488 and 'secured media' in answer, f'{method}: {answer}')
    row = server.roster(server.lounge)['alice']
    check(row['keys'] == 'sdes' and row['state'] == 'connected', f'as it was: {row}')
    check(sip.status_of(call.offer(media())) == 200, 'a good re-offer is taken')
    bye(carol)
    call.hang_up()


@test('R046 R063: who answers an offer of ours in plain RTP gets BYE, and hears why')
def plain_answer_to_ours(bench):
    server = bench.server()
    call = Call(server, server.lounge)
    check(sip.status_of(call.offer(media())) == 200, 'the call stands')
    call.cseq += 1
    call.peer.send(sip.request(call.peer, 'INVITE', call.uri, call.call, call.cseq, '', call.tag))
    offered = call.peer.receive()
    while sip.status_of(offered) in range(100, 200):
        offered = call.peer.receive()
    check('m=audio' in offered and not re.search(r'(?m)^m=\w+ \d+ RTP/AVP', offered),
          f'nothing but secured audio is offered, found {offered}')
    target = re.search(r'<([^>]+)>', sip.header(offered, 'Contact')).group(1)
    call.peer.send(sip.request(call.peer, 'ACK', target, call.call, call.cseq,
                               'Content-Type: application/sdp\n', call.tag),
                   sip.sdp('m=audio 40000 RTP/AVP 8\r\n'))
    end = call.peer.receive()
    check(end.startswith('BYE ') and 'secured media required' in sip.header(end, 'Reason'),
          f'BYE with a Reason, found {end}')
    check(not server.roster(server.lounge), 'and he is out')
    call.peer.close()


@test('R065: of an offer with secured audio and plain video the audio is taken and the video refused')
def plain_video(bench):
    server = bench.server()
    call = Call(server, server.lounge)
    both = media() + b'm=video 40002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n'
    answer = call.offer(both)
    lines = re.findall(r'(?m)^m=(\w+) (\d+) (\S+)', answer)
    check([kind for kind, _, _ in lines] == ['audio', 'video'] and int(lines[0][1]) > 0 and
          lines[1][1] == '0', f'the video has port 0, found {lines}')
    check(lines[0][2] == 'RTP/SAVP', f'the audio is secured, found {lines}')
    call.hang_up()


@test('while a policy is reloaded those who go are cut before anybody new is let in')
def cut_first(bench):
    server = bench.server(policy=policy_with('max-participants=2').replace(
        '[policy]\n', '[policy]\nreload-running=all\n'))
    alice, uri = create(bench, server, 'bob', 'carol', tone=None,
                        more=['--listen-for', '660,880'])
    bob = bench.ua(server, 'bob', 'join', uri, tone=660)
    bob.wait('connected')
    refused(bench.ua(server, 'carol', 'join', uri), 486)
    server.write('policy.conf', policy_with(
        f'max-participants=2\ndeny={identity("bob")}').replace(
            '[policy]\n', '[policy]\nreload-running=all\n'))
    server.ctl('reload')
    check('no longer allowed' in bob.wait('ended')['reason'], 'bob is told')
    carol = bench.ua(server, 'carol', 'join', uri, tone=880, more=['--interactive'])
    carol.wait('connected')
    alice.say('reset', 'sleep 1', 'stats')
    heard = {level['hz']: level for level in alice.next('stats')['levels']}
    check(heard[660]['max_db'] < -45 and heard[880]['max_db'] > HEARD,
          f'alice hears carol and no more of bob: {heard}')
    server.write('policy.conf', 'nonsense')
    server.ctl('reload', expect=1)
    check(sorted(server.roster(uri)) == ['alice', 'carol'], 'a broken file changes nothing')
    refused(bench.ua(server, 'bob', 'join', uri), 403)
    bye(carol, alice)
