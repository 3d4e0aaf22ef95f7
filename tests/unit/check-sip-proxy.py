#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does the end-to-end tests' own proxy do what those tests rely on? Raw messages, real sockets, TAP."""
import os
import re
import socket
import sys
import time
import traceback
import uuid

TOP = os.environ.get('G_TEST_SRCDIR') or os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                      '..', '..')
sys.path.insert(0, os.path.join(TOP, 'tests', 'e2e'))
import proxy  # noqa: E402
from proxy import Message, Proxy, add, replace, strip  # noqa: E402

HOST = '127.0.0.8'
tests = []


def test(sentence):
    def register(function):
        tests.append((sentence, function))
        return function
    return register


def check(holds, sentence):
    if not holds:
        raise AssertionError(sentence)


class End:
    """A UDP or TCP end that says and hears SIP."""

    def __init__(self, towards=None):
        self.stream = towards is not None
        self.socket = socket.socket(socket.AF_INET,
                                    socket.SOCK_STREAM if self.stream else socket.SOCK_DGRAM)
        if self.stream:
            self.socket.connect((towards.host, towards.port))
        else:
            self.socket.bind(('127.0.0.1', 0))
        self.transport = 'tcp' if self.stream else 'udp'
        self.port = self.socket.getsockname()[1]
        self.peer = None
        self.rest = b''

    @property
    def target(self):
        return (self.transport, '127.0.0.1', self.port)

    def say(self, text, to=None):
        data = text.octets() if isinstance(text, Message) else text.encode()
        if self.stream:
            self.socket.sendall(data)
        else:
            self.socket.sendto(data, (to.host, to.port) if to else self.peer)

    def hear(self, seconds=3):
        """None: nothing came."""
        self.socket.settimeout(seconds)
        while True:
            try:
                if self.stream and self.whole():
                    return self.cut()
                data, peer = self.socket.recvfrom(65536)
            except socket.timeout:
                return None
            if not self.stream:
                self.peer = peer
                return Message.parse(data)
            self.rest += data

    def whole(self):
        """How many octets the first message in the stream has, 0: it is not all there."""
        head, found, body = self.rest.partition(b'\r\n\r\n')
        length = re.search(rb'(?im)^(?:content-length|l)\s*:\s*(\d+)', head)
        size = int(length.group(1)) if length else 0
        return len(head) + 4 + size if found and len(body) >= size else 0

    def cut(self):
        size = self.whole()
        message, self.rest = Message.parse(self.rest[:size]), self.rest[size:]
        return message

    def request(self, method, user, call=None, branch=None, more='', to_tag='', uri=None, cseq=1):
        call, branch = call or uuid.uuid4().hex, branch or 'z9hG4bK' + uuid.uuid4().hex
        return (f'{method} {uri or f"sip:{user}@example.org"} SIP/2.0\r\n'
                f'Via: SIP/2.0/{self.transport.upper()} 127.0.0.1:{self.port};branch={branch};rport'
                f'\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.org>;tag=1\r\n'
                f'To: <sip:{user}@example.org>{to_tag}\r\nCall-ID: {call}\r\n'
                f'CSeq: {cseq} {method}\r\n{more}Content-Length: 0\r\n\r\n')

    def answer(self, request, status, tag='x', more=()):
        answer = Message(f'SIP/2.0 {status} Odd', [])
        for name in ('via', 'record-route', 'from', 'to', 'call-id', 'cseq'):
            answer.headers += [(name, value) for value in request.all(name)]
        if status > 100 and not request.in_dialog:
            answer.set('To', request.get('to') + f';tag={tag}')
        answer.headers += more
        self.say(answer)


def statuses(end, count, seconds=3):
    return [m.status for m in (end.hear(seconds) for _ in range(count)) if m]


def world(**more):
    """A proxy, a caller, and bob behind it."""
    px = Proxy(HOST, **more).start()
    alice, bob = End(), End()
    px.route('bob', bob.target)
    return px, alice, bob


@test('a message is read and written without loss')
def codec():
    raw = (b'INVITE sip:b@x SIP/2.0\r\nv: SIP/2.0/UDP a;branch=1, SIP/2.0/TCP b;branch=2\r\n'
           b'Subject: folded\r\n  twice\r\nt: "a, b" <sip:b@x;tag=no>;tag=yes\r\n'
           b'P-Asserted-Identity: "A, B" <sip:a@x>, <tel:+1>\r\nl: 4\r\n\r\nbodyJUNK')
    m = Message.parse(raw)
    check(m.all('Via') == ['SIP/2.0/UDP a;branch=1', 'SIP/2.0/TCP b;branch=2'], m.all('via'))
    check(m.branch == '1' and m.get('subject') == 'folded twice', m.headers)
    check(proxy.parameter(m.get('to'), 'tag') == 'yes' and m.body == b'body', m.body)
    check(m.all('p-asserted-identity') == ['"A, B" <sip:a@x>', '<tel:+1>'], 'a list is taken apart')
    check(Message.parse(m.octets()).octets() == m.octets(), 'again the same')
    for junk in (b'', b'\r\n\r\n', b'HELLO\r\n\r\n', b'SIP/2.0 20\r\n\r\n', b'A b C\r\n\r\n'):
        check(Message.parse(junk) is None, f'{junk!r} is no message')
    check(proxy.address_of('<sip:x@127.0.0.1:5070;transport=TCP>') == ('tcp', '127.0.0.1', 5070), '')
    check(proxy.address_of('sip:x@example.org') is None, 'a name is no address')


@test('a call passes with 100, 180, 200, ACK and BYE, by the recorded route')
def passes():
    px, alice, bob = world()
    call = uuid.uuid4().hex
    alice.say(alice.request('INVITE', 'bob', call), px)
    check(alice.hear().status == 100, '100 comes at once')
    invite = bob.hear()
    check(invite.get('max-forwards') == '69' and len(invite.all('via')) == 2, invite.headers)
    check(f'rport={alice.port}' in invite.all('via')[1], 'rport is filled')
    bob.answer(invite, 180)
    bob.answer(invite, 200, more=[('Contact', f'<sip:bob@127.0.0.1:{bob.port}>')])
    check(statuses(alice, 2) == [180, 200], 'both arrive')
    uri, route = f'sip:bob@127.0.0.1:{bob.port}', f'Route: {invite.get("record-route")}\r\n'
    for method, cseq in (('ACK', 1), ('BYE', 2)):
        alice.say(alice.request(method, 'bob', call, to_tag=';tag=x', uri=uri, more=route,
                                cseq=cseq), px)
        got = bob.hear()
        check(got.method == method and not got.all('route'), f'{method} arrives: {got.headers}')
    bob.answer(got, 200)
    check(alice.hear().status == 200, 'BYE is answered')
    check(px.find('INVITE', user='bob') and px.find(status=180, out=True), px.story())
    check(not px.find('CANCEL'), 'and nothing else is remembered')
    px.stop()


@test('a fork rings everywhere, the first answer wins, the others get CANCEL')
def forks():
    px, alice, bob = world()
    other = End()
    px.route('bob', bob.target, other.target)
    alice.say(alice.request('INVITE', 'bob'), px)
    check(alice.hear().status == 100, '100')
    first, second = bob.hear(), other.hear()
    other.answer(second, 180, 'y')
    check(alice.hear().status == 180, 'one rings')
    bob.answer(first, 200)
    check(alice.hear().status == 200, 'the other answers')
    cancel = other.hear()
    check(cancel.method == 'CANCEL' and cancel.branch == second.branch, 'which ends the ringing')
    other.answer(cancel, 200)
    other.answer(second, 487, 'y')
    check(other.hear().method == 'ACK', 'and the refusal is acknowledged here')
    check(alice.hear(0.3) is None, 'the caller hears nothing of that')
    px.stop()


@test('both answers of a fork reach the caller when losers are not cancelled')
def two_answers():
    px, alice, bob = world(cancel_losers=False)
    other = End()
    px.route('bob', bob.target, other.target)
    alice.say(alice.request('INVITE', 'bob'), px)
    check(alice.hear().status == 100, '100')
    bob.answer(bob.hear(), 200, 'x')
    other.answer(other.hear(), 200, 'y')
    tags = {proxy.parameter(alice.hear().get('to'), 'tag') for _ in range(2)}
    check(tags == {'x', 'y'}, f'two answers of two dialogs, found {tags}')
    px.stop()


@test('of refusals the best is told once, after all of them')
def best():
    px, alice, bob = world()
    other = End()
    px.route('bob', bob.target, other.target)
    branch, call = 'z9hG4bKbest', uuid.uuid4().hex
    alice.say(alice.request('INVITE', 'bob', call, branch), px)
    check(alice.hear().status == 100, '100')
    bob.answer(bob.hear(), 503)
    check(bob.hear().method == 'ACK' and alice.hear(0.3) is None, 'not yet')
    other.answer(other.hear(), 486)
    check(alice.hear().status == 486, '486 is better than 503')
    alice.say(alice.request('INVITE', 'bob', call, branch), px)
    check(alice.hear().status == 486, 'who asks again hears it again')
    alice.say(alice.request('ACK', 'bob', call, branch, to_tag=';tag=x'), px)
    check(bob.hear(0.3) is None and not px.find('ACK', out=True, user='bob')[2:],
          'his ACK ends at the proxy')
    px.stop()


@test('CANCEL waits for the first provisional answer and takes its Reason along')
def cancels():
    px, alice, bob = world()
    branch, call = 'z9hG4bKcancel', uuid.uuid4().hex
    alice.say(alice.request('INVITE', 'bob', call, branch), px)
    check(alice.hear().status == 100, '100')
    invite = bob.hear()
    alice.say(alice.request('CANCEL', 'bob', call, branch,
                            more='Reason: SIP;cause=403;text="no"\r\n'), px)
    check(alice.hear().status == 200, 'CANCEL is answered')
    check(not px.find('CANCEL', out=True), 'and not yet passed on')
    bob.answer(invite, 100)
    cancel = bob.hear()
    while cancel.method == 'INVITE':
        cancel = bob.hear()
    check(cancel.method == 'CANCEL' and 'cause=403' in cancel.get('reason'), cancel.headers)
    bob.answer(cancel, 200)
    bob.answer(invite, 487)
    check(bob.hear().method == 'ACK' and alice.hear().status == 487, '487 for the caller')
    alice.say(alice.request('CANCEL', 'bob', call, 'z9hG4bKunknown'), px)
    check(alice.hear().status == 481, 'who cancels nothing gets 481')
    px.stop()


@test('a diverted call brings 181 and History-Info, and goes to somebody else')
def diverts():
    px, alice, bob = world()
    carol = End()
    px.route('carol', carol.target)
    px.when('INVITE', user='bob').divert('carol', cause=486, diversion=True)
    alice.say(alice.request('INVITE', 'bob'), px)
    forwarded = alice.hear()
    check(forwarded.status == 181 and 'carol' in forwarded.all('history-info')[1],
          forwarded.headers)
    got = carol.hear()
    check(got.uri == 'sip:carol@example.org', got.start)
    check(got.all('history-info') == [
        '<sip:bob@example.org?Reason=SIP%3Bcause%3D486>;index=1',
        '<sip:carol@example.org;cause=486>;index=1.1;mp=1'], got.headers)
    check(got.get('diversion').startswith('<sip:bob@example.org>'), got.headers)
    check(proxy.user_of(got.get('to')) == 'bob' and bob.hear(0.2) is None, 'To stays, bob rests')
    px.stop()


@test('requests and answers are edited, dropped, delayed, answered and injected as ordered')
def odd():
    px, alice, bob = world()
    px.when('INVITE').edit(strip('Subject'), replace('P-Asserted-Identity', '<sip:a@x>'))
    px.when('INVITE', status=200).edit(add('P-Asserted-Identity', '<sip:carol@x>'))
    px.when('INVITE', user='bob').inject(181, times=1)
    px.when('OPTIONS', user='bob').drop(times=1)
    px.when('MESSAGE').delay(0.4)
    px.when('INVITE', user='busy').answer(486, add('Warning', '399 x "y"'))
    alice.say(alice.request('INVITE', 'bob', more='Subject: x\r\nP-Asserted-Identity: <sip:e@x>\r\n'),
              px)
    check(statuses(alice, 2) == [181, 100], 'an answer of its own')
    got = bob.hear()
    check(got.all('p-asserted-identity') == ['<sip:a@x>'] and not got.get('subject'), got.headers)
    bob.answer(got, 200)
    check(alice.hear().get('p-asserted-identity') == '<sip:carol@x>', 'the answer is edited')
    alice.say(alice.request('OPTIONS', 'bob'), px)
    check(bob.hear(0.3) is None, 'the first is dropped')
    alice.say(alice.request('OPTIONS', 'bob'), px)
    check(bob.hear().method == 'OPTIONS', 'the second is not')
    began = time.monotonic()
    alice.say(alice.request('MESSAGE', 'bob'), px)
    check(bob.hear().method == 'MESSAGE' and time.monotonic() - began > 0.35, 'later')
    alice.say(alice.request('INVITE', 'busy'), px)
    answer = alice.hear()
    check(answer.status == 486 and answer.get('warning'), answer.headers)
    alice.say(alice.request('INVITE', 'stranger'), px)
    check(statuses(alice, 2) == [100, 404], 'who is nowhere gets 404')
    px.stop()


@test('an INVITE that is lost is sent again')
def lost():
    px, alice, bob = world()
    alice.say(alice.request('INVITE', 'bob'), px)
    first, second = bob.hear(), bob.hear()
    check(second is not None and first.branch == second.branch, 'the same again')
    bob.answer(second, 180)
    check(bob.hear(1.6) is None, 'until an answer comes')
    px.stop()


@test('TCP comes in and UDP goes out, answers find their connection, two routes are recorded')
def mixed():
    px, _, bob = world()
    alice = End(px)
    text = alice.request('INVITE', 'bob')
    alice.say(text[:40])
    time.sleep(0.1)
    alice.say(text[40:] + alice.request('OPTIONS', 'bob'))
    got, options = bob.hear(), bob.hear()
    check((got.method, options.method) == ('INVITE', 'OPTIONS'), 'a stream is cut into messages')
    transports = [re.search('transport=(...)', r).group(1) for r in got.all('record-route')]
    check(transports == ['udp', 'tcp'], f'both sides are recorded, found {got.all("record-route")}')
    bob.answer(options, 200)
    check([alice.hear().status for _ in range(2)] == [100, 200], 'answers come back')
    px.stop()


@test('a request that has come too far gets 483, and the log knows when what happened')
def log():
    px, alice, bob = world()
    alice.say(alice.request('OPTIONS', 'bob').replace('Max-Forwards: 70', 'Max-Forwards: 0'), px)
    check(alice.hear().status == 483 and bob.hear(0.2) is None, '483')
    alice.say(alice.request('OPTIONS', 'bob'), px)
    bob.answer(bob.hear(), 200)
    check(alice.hear().status == 200, '200')
    came = px.wait('OPTIONS', count=2)
    went = px.wait('OPTIONS', out=True)
    answer = px.wait(status=200, method='OPTIONS', out=True)
    check(len(came) == 2 and went[0].at <= answer[0].at, px.story())
    check(px.wait('BYE', seconds=0.2) == [], 'what did not come is not found')
    check('OPTIONS sip:bob@example.org' in px.story(), px.story())
    px.stop()


def main():
    print(f'1..{len(tests)}')
    failed = 0
    for number, (sentence, function) in enumerate(tests, 1):
        try:
            function()
            print(f'ok {number} - {sentence}', flush=True)
        except Exception:
            failed += 1
            print(f'not ok {number} - {sentence}\n# ' +
                  '\n# '.join(traceback.format_exc().splitlines()), flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
