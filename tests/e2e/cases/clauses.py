# SPDX-License-Identifier: Apache-2.0
"""Single clauses of the RFCs and of our own rules, against the whole server."""
import re
import signal
import uuid

import devconfig
import sip
from cases.calls import conference_of, expect_good, policy_with
from cases.refusals import finish, refused, running, sdes_offer, take_ticket
from harness import check, test, wait_until

SOFTPHONE_FACTORY = ('auth=digest\nsignalling=tls\nkey-mgmt-allow=mikey-ticket;sdes\n'
                     'create-empty=yes')


class Call:
    """One dialog of alice's over TLS, identity by password."""

    def __init__(self, server, uri):
        self.peer = sip.Peer(server.tls_port, 'tls')
        self.password = server.read('passwords/alice').strip()
        self.uri, self.call, self.tag, self.cseq = uri, uuid.uuid4().hex, '', 0

    def offer(self, body, method='INVITE', extra=''):
        """The final answer; a challenge is answered, an INVITE acknowledged."""
        authorization = ''
        while True:
            self.cseq += 1
            branch = 'z9hG4bK' + uuid.uuid4().hex
            kind = 'Content-Type: application/sdp\n' if body else ''
            self.peer.send(sip.request(self.peer, method, self.uri, self.call, self.cseq,
                                       kind + extra + authorization, self.tag, branch), body)
            answer = self.peer.receive()
            while answer is not None and sip.status_of(answer) in range(100, 200):
                answer = self.peer.receive()
            check(answer is not None, f'{method} is answered')
            if method == 'INVITE':
                tag = sip.acknowledge(self.peer, self.uri, self.call, self.cseq, answer, branch)
                self.tag = tag if sip.status_of(answer) == 200 else self.tag
            if sip.status_of(answer) != 401 or authorization:
                return answer
            authorization = sip.digest(sip.header(answer, 'WWW-Authenticate'), 'alice',
                                       self.password, method, self.uri)

    def hang_up(self):
        check(sip.status_of(self.offer(b'', 'BYE')) == 200, 'BYE is answered')
        self.peer.close()


def origin(answer):
    """Session id and version of the o= line."""
    found = re.search(r'(?m)^o=\S+ (\d+) (\d+) ', answer)
    check(found, f'an answer with SDP, found {answer}')
    return found.group(1), int(found.group(2))


def media(direction='sendrecv', port=40000):
    return sip.sdp(f'm=audio {port} RTP/SAVP 8\r\na={direction}\r\n'
                   f'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{"A" * 40}\r\n')


@test('the version of an answer goes up by one when it changes, and only then')
def versions(bench):
    server = bench.server()
    call = Call(server, server.lounge)
    first = origin(call.offer(media()))
    check(origin(call.offer(media())) == first, 'a refresh is answered with the same version')
    held = origin(call.offer(media('sendonly')))
    check(held == (first[0], first[1] + 1), f'hold is one more, found {first} and {held}')
    check(origin(call.offer(media('sendonly'), 'UPDATE')) == held, 'nothing new: nothing more')
    back = origin(call.offer(media()))
    check(back == (first[0], held[1] + 1), f'resume is one more, found {held} and {back}')
    call.hang_up()


@test('a re-INVITE without offer is offered what is in force, and its answer counts')
def offerless(bench):
    server = bench.server()
    call = Call(server, server.lounge)
    first = call.offer(media())
    call.cseq += 1
    branch = 'z9hG4bK' + uuid.uuid4().hex
    call.peer.send(sip.request(call.peer, 'INVITE', call.uri, call.call, call.cseq, '', call.tag,
                               branch))
    offered = call.peer.receive()
    while sip.status_of(offered) in range(100, 200):
        offered = call.peer.receive()
    check(sip.status_of(offered) == 200 and origin(offered) == origin(first), 'the same again')
    target = re.search(r'<([^>]+)>', sip.header(offered, 'Contact')).group(1)
    call.peer.send(sip.request(call.peer, 'ACK', target, call.call, call.cseq,
                               'Content-Type: application/sdp\n', call.tag), media('sendonly'))
    wait_until(lambda: server.roster(server.lounge)['alice']['state'] == 'on-hold',
               'the answer in the ACK holds')
    call.hang_up()


@test('a creation without media makes a room, and a re-INVITE brings the media')
def control_dialog(bench):
    server = bench.server(policy=policy_with(SOFTPHONE_FACTORY))
    call = Call(server, server.factory)
    made = call.offer(sip.sdp(''))
    check(sip.status_of(made) == 200 and 'm=' not in made, f'200 without media, found {made}')
    contact = sip.header(made, 'Contact')
    check(contact.endswith(';isfocus') and 'factory' not in contact, f'a focus, found {contact}')
    uri = re.search(r'<([^>]+)>', contact).group(1)
    room = re.sub(r'^(sip:[^;:]+@[^;:]+).*', r'\1', uri)
    row = server.roster(room)['alice']
    check(row['keys'] not in ('sdes', 'mikey-ticket'), f'a control dialog, found {row}')
    call.uri = uri
    joined = call.offer(media())
    check(sip.status_of(joined) == 200 and 'a=crypto:1 ' in joined, f'media, found {joined}')
    check(origin(joined)[1] == origin(made)[1] + 1, 'in the next version of the answer')
    wait_until(lambda: server.roster(room)['alice']['keys'] == 'sdes', 'alice is in')
    check(sip.status_of(call.offer(sip.sdp('m=audio 0 RTP/SAVP 8\r\n'))) == 488,
          'the audio cannot be taken away again')
    call.hang_up()
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'nothing is left of it')


@test('an INVITE to the factory without an offer is refused and leaves no room behind')
def no_offer(bench):
    server = bench.server()
    peer = sip.Peer(server.tls_port, 'tls')
    before = len(server.conferences())
    for _ in range(20):
        answer = sip.invite(peer, server.factory, b'')
        check(sip.status_of(answer) == 488, f'488, found {answer}')
    check(len(server.conferences()) == before, 'no room is left')
    peer.close()


@test('a deleted scheduled conference stays for those who are in it, and then it ends')
def deleted(bench):
    text = policy_with('', 'empty-timeout=1s')
    server = bench.server(policy=text)
    call = Call(server, server.lounge)
    check(sip.status_of(call.offer(media())) == 200, 'alice is in the lounge')
    server.write('policy.conf', text[:text.index('[conference lounge]')])
    server.ctl('reload')
    check(sorted(server.roster(server.lounge)) == ['alice'], 'she stays in it')
    call.hang_up()
    wait_until(lambda: not server.conferences(), 'it ends when it has been empty for a while')
    answer = sip.invite(sip.Peer(server.tls_port, 'tls'), server.lounge, sdes_offer())
    check(sip.status_of(answer) == 404, f'and is not found any more, found {answer}')
    server.write('policy.conf', text)
    server.ctl('reload')
    check(len(server.conferences()) == 1, 'a reload brings it back')


@test('the creator\'s new ticket with other names replaces the allowed set')
def new_list(bench):
    server = bench.server()
    alice, uri = running(bench, server, invite=('bob',))
    bob = bench.ua(server, 'bob', 'join', uri)
    bob.wait('connected')
    refused(bench.ua(server, 'carol', 'join', uri), 403)
    ticket = bench.folder + '/new-list.ticket'
    take_ticket(bench, server, 'alice', uri, ticket, more=[
        '--for', devconfig.identity('carol'), '--purpose', 'join', '--purpose', 'allow'])
    again = bench.ua(server, 'alice', 'join', uri, tone=500, keys=False,
                     more=['--ticket-file', ticket])
    again.wait('connected')
    check(bob.wait('ended')['cause'] == 'bye', 'bob is not on the new list and has to go')
    carol = bench.ua(server, 'carol', 'join', uri, duration=1)
    expect_good(carol)
    refused(bench.ua(server, 'bob', 'join', uri), 403)
    again.hang_up()
    expect_good(again)
    finish(alice)


@test('whose media fall silent is asked whether he lives: who answers stays, who does not is out')
def fell_silent(bench):
    server = bench.server(options=[('media', 'silence-timeout', '2s')])
    quiet = Call(server, server.lounge)
    check(sip.status_of(quiet.offer(media())) == 200, 'alice is in the lounge and says nothing')
    alice, uri = running(bench, server, invite=('bob',))
    bob = bench.ua(server, 'bob', 'join', uri)
    bob.wait('connected')
    wait_until(lambda: len(server.roster(uri)) == 2, 'both are in')
    bob.process.signal(signal.SIGKILL)
    for status in ('200 OK', '481 Call/Transaction Does Not Exist'):
        asked = quiet.peer.receive(8)
        check(asked and asked.startswith('OPTIONS '), f'alice is asked by OPTIONS, found {asked}')
        check('alice' in server.roster(server.lounge), 'and is in meanwhile')
        quiet.peer.send(sip.answer_to(asked, status))
    bye = quiet.peer.receive(5)
    check(bye and bye.startswith('BYE '), f'who knows of no call is hung up, found {bye}')
    quiet.peer.close()
    wait_until(lambda: not server.roster(server.lounge), 'nobody is in the lounge')
    wait_until(lambda: sorted(server.roster(uri)) == ['alice'], 'a phone without power is out')
    again = bench.ua(server, 'bob', 'join', uri, duration=1)
    expect_good(again)
    finish(alice)


def warnings(message):
    return re.findall(r'(?im)^warning[ \t]*:[ \t]*(\d+) \S+ "([^"]*)"', message)


@test('a 488 says in its Warnings what was wrong')
def reasons(bench):
    server = bench.server()
    password = server.read('passwords/alice').strip()
    cases = (
        ('m=audio 40000 RTP/AVP 8\r\n', {305, 399}, 'secured media required'),
        ('m=audio 40000 RTP/SAVP 8\r\n', {305, 399}, 'secured media required'),
        ('m=audio 40000 RTP/SAVP 97\r\na=rtpmap:97 speex/8000\r\n'
         'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:' + 'A' * 40 + '\r\n', {305},
         'Incompatible media format'),
        ('m=audio 40000 RTP/SAVP 8\r\na=crypto:1 F8_128_HMAC_SHA1_80 inline:' + 'A' * 40 + '\r\n',
         {306}, 'key management'),
        ('m=audio 40000 RTP/SAVP 8\r\na=key-mgmt:mikey AAAA\r\n', {306}, 'key management'))
    for lines, codes, words in cases:
        peer = sip.Peer(server.tls_port, 'tls')
        answer = sip.invite(peer, server.lounge, sip.sdp(lines), password=password)
        found = warnings(answer)
        check(sip.status_of(answer) == 488, f'488 for {lines!r}, found {answer}')
        check({int(code) for code, _ in found} == codes, f'{codes} for {lines!r}, found {found}')
        check(any(words in text for _, text in found), f'"{words}", found {found}')
        peer.close()
