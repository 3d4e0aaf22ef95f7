# SPDX-License-Identifier: Apache-2.0
"""SIP by hand, octet by octet, for what no well-behaved client would send."""
import hashlib
import os
import re
import socket
import ssl
import time
import uuid

from harness import Failure


def header(message, name):
    found = re.search(r'(?im)^%s[ \t]*:[ \t]*(.*?)\r?$' % re.escape(name), message)
    return found.group(1).strip() if found else ''


def status_of(message):
    return int(message.split()[1]) if message.startswith('SIP/2.0 ') else 0


class Peer:
    """A socket towards a server that speaks SIP over it."""

    def __init__(self, port, transport='udp', ca=None, host='127.0.0.1', own_port=0):
        self.transport = transport
        kind = socket.SOCK_DGRAM if transport == 'udp' else socket.SOCK_STREAM
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        self.socket = socket.socket(family, kind)
        self.socket.settimeout(10)
        if own_port:
            self.socket.bind((host, own_port))
        self.socket.connect((host, port))
        if transport == 'tls':
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = ca is not None
            if ca:
                context.load_verify_locations(ca)
            else:
                context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket, server_hostname='localhost')
        self._begin()

    @classmethod
    def accepted(cls, connection, transport):
        """The peer at a connection that the server has opened."""
        self = cls.__new__(cls)
        self.transport, self.socket = transport, connection
        self._begin()
        return self

    def _begin(self):
        self.buffer = b''
        own = self.socket.getsockname()
        self.local = f'[{own[0]}]:{own[1]}' if ':' in own[0] else f'{own[0]}:{own[1]}'

    def close(self):
        self.socket.close()

    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, text, body=b''):
        self.send_raw(text.replace('\n', '\r\n').encode() +
                      f'Content-Length: {len(body)}\r\n\r\n'.encode() + body)

    def _cut(self):
        """One whole message of a stream; None: not all of it is here."""
        self.buffer = self.buffer.lstrip(b'\r\n')
        head, found, rest = self.buffer.partition(b'\r\n\r\n')
        if not found:
            return None
        length = int(header(head.decode('utf-8', 'replace'), 'Content-Length') or 0)
        if len(rest) < length:
            return None
        self.buffer = rest[length:]
        return (head + found + rest[:length]).decode('utf-8', 'replace')

    def receive(self, seconds=5):
        """The next message; None: nothing came, or the connection is closed."""
        end = time.monotonic() + seconds
        while True:
            if self.transport != 'udp':
                message = self._cut()
                if message is not None:
                    return message
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except (socket.timeout, ConnectionError, ssl.SSLError):
                return None
            if self.transport == 'udp':
                return data.decode('utf-8', 'replace')
            if not data:
                return None
            self.buffer += data


def request(peer, method, uri, call, cseq=1, extra='', to_tag='', branch=None, user='alice'):
    """Start line and headers up to, but not with, Content-Length."""
    branch = branch or 'z9hG4bK' + uuid.uuid4().hex
    to_tag = f';tag={to_tag}' if to_tag else ''
    return (f'{method} {uri} SIP/2.0\n'
            f'Via: SIP/2.0/{peer.transport.upper()} {peer.local};branch={branch};rport\n'
            f'Max-Forwards: 70\nFrom: <sip:{user}@example.org>;tag={call}\n'
            f'To: <{uri}>{to_tag}\nCall-ID: {call}\nCSeq: {cseq} {method}\n'
            f'Contact: <sip:{user}@{peer.local};transport={peer.transport}>\n{extra}')


def answer_to(message, status):
    """Start line and headers of an answer, up to, but not with, Content-Length."""
    lines = ''.join(f'{name}: {header(message, name)}\n'
                    for name in ('From', 'To', 'Call-ID', 'CSeq'))
    vias = ''.join(f'Via: {via}\n' for via in re.findall(r'(?im)^Via[ \t]*:[ \t]*(.*?)\r?$', message))
    return f'SIP/2.0 {status}\n{vias}{lines}'


def acknowledge(peer, uri, call, cseq, answer, branch, user='alice'):
    """ACK; of a refusal with the branch of the INVITE, of a 2xx with its own and to the Contact."""
    if status_of(answer) < 300:
        branch = None
        target = re.search(r'<([^>]+)>', header(answer, 'Contact'))
        uri = target.group(1) if target else uri
    tag = re.search(r'tag=([^;>\s]+)', header(answer, 'To'))
    text = request(peer, 'ACK', uri, call, cseq, branch=branch, user=user)
    to = header(answer, 'To')
    text = re.sub(r'(?m)^To: .*$', lambda _: 'To: ' + to, text)
    peer.send(text)
    return tag.group(1) if tag else ''


def digest(challenge, user, password, method, uri, name='Authorization'):
    """The header that answers this MD5 or SHA-256 challenge, of this name."""
    fields = dict((k, v.strip('"')) for k, v in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', challenge))
    algorithm = fields.get('algorithm', 'MD5')

    def hashed(text):
        function = hashlib.sha256 if algorithm.upper() == 'SHA-256' else hashlib.md5
        return function(text.encode()).hexdigest()
    cnonce = uuid.uuid4().hex
    response = hashed(':'.join((hashed(f'{user}:{fields["realm"]}:{password}'), fields['nonce'],
                                '00000001', cnonce, 'auth', hashed(f'{method}:{uri}'))))
    opaque = f', opaque="{fields["opaque"]}"' if 'opaque' in fields else ''
    return (f'{name}: Digest username="{user}", realm="{fields["realm"]}", '
            f'nonce="{fields["nonce"]}", uri="{uri}", response="{response}", '
            f'algorithm={algorithm}, qop=auth, nc=00000001, cnonce="{cnonce}"{opaque}\n')


# The headers of a challenge and of its answer.
CHALLENGES = {401: ('WWW-Authenticate', 'Authorization'),
              407: ('Proxy-Authenticate', 'Proxy-Authorization')}


def invite(peer, uri, body, content='application/sdp', extra='', user='alice', password=None,
           seconds=10):
    """The final answer to an INVITE, acknowledged; with a password a challenge is answered."""
    call = uuid.uuid4().hex
    authorization = ''
    for cseq in (1, 2):
        branch = 'z9hG4bK' + uuid.uuid4().hex
        kind = f'Content-Type: {content}\n' if body else ''
        peer.send(request(peer, 'INVITE', uri, call, cseq, kind + extra + authorization,
                          branch=branch, user=user), body)
        answer = peer.receive(seconds)
        while answer is not None and status_of(answer) < 200:
            answer = peer.receive(seconds)
        if answer is None:
            raise Failure(f'no final answer to INVITE {uri} within {seconds} s')
        acknowledge(peer, uri, call, cseq, answer, branch, user)
        names = CHALLENGES.get(status_of(answer))
        if names is None or password is None or authorization:
            return answer
        authorization = digest(header(answer, names[0]), user, password, 'INVITE', uri, names[1])
    return answer


def options(peer, uri, seconds=5):
    """The status that OPTIONS gets; 0: none."""
    peer.send(request(peer, 'OPTIONS', uri, uuid.uuid4().hex))
    answer = peer.receive(seconds)
    return status_of(answer) if answer else 0


def sdp(media, session=''):
    return (f'v=0\r\no=- {int.from_bytes(os.urandom(4), "big")} 1 IN IP4 127.0.0.1\r\ns=-\r\n'
            f'c=IN IP4 127.0.0.1\r\nt=0 0\r\n{session}{media}').encode()
