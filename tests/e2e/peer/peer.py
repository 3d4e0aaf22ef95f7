#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A conference participant that owes nothing to this project's C code.

MIKEY-TICKET from the RFCs (ticket.py), SRTP and G.711 from the RFCs (media.py), SIP by hand. It
asks the KMS for a ticket, calls, verifies who answered, says a tone for a while, listens, and
prints one JSON object. Exit status 0 only if everything held.

usage: peer.py create FACTORY-URI --invite URI... | join CONFERENCE-URI
       --server HOST:PORT [--transport udp|tcp] --kms URL --kms-uri URI
       --identity URI --psk-id NAME --psk-file FILE
       [--tone HZ] [--duration S] [--expect-hear HZ:DB,...] [--expect-silent HZ:DB,...]
       [--stay-until-bye]
"""
import argparse
import base64
import hmac
import json
import os
import random
import re
import select
import socket
import struct
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import media  # noqa: E402 pylint: disable=wrong-import-position
import ticket  # noqa: E402 pylint: disable=wrong-import-position

ANSWER_SECONDS = 20
POLICIES = {0: ticket.AES_CM_128_HMAC_SHA1_80}


class Failed(Exception):
    pass


def check(holds, sentence):
    if not holds:
        raise Failed(sentence)


def canonical(uri):
    """sip:user@host, nothing else."""
    found = re.match(r'<?sips?:([^@;>]+)@(\[[^\]]+\]|[^;:>?]+)', uri)
    check(found, f'no SIP URI: {uri}')
    return f'sip:{found.group(1)}@{found.group(2).lower()}'


def read_psk(path):
    with open(path, encoding='ascii') as text:
        word = text.read().strip()
    return base64.b64decode(word[7:]) if word.startswith('base64:') else bytes.fromhex(word)


# ---- KMS --------------------------------------------------------------------------------------

def ask_kms(args, names, purposes):
    psk, rand_i = read_psk(args.psk_file), os.urandom(32)
    request = ticket.request_init(
        psk, args.psk_id.encode(), args.identity.encode(), args.kms_uri.encode(),
        [name.encode() for name in names], 'DEFGHIJNO', int(time.time()) + 3600,
        random.getrandbits(32), rand_i, ticket.timestamp_of(time.time()),
        [purpose.encode() for purpose in purposes])
    http = urllib.request.Request(args.kms + '?requesttype=ticketrequest',
                                  base64.b64encode(request),
                                  {'Content-Type': 'application/mikey'})
    try:
        with urllib.request.urlopen(http, timeout=5) as answer:
            kind, body = answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as error:
        kind, body = error.headers.get_content_type(), error.read()
    check(kind == 'application/mikey', f'the KMS answers {kind}')
    if body[:1] != b'\x01':
        body = base64.b64decode(body)
    grant = ticket.Grant(psk, rand_i, request, body)
    check(grant.ticket.named(ticket.IDR_I) == [args.identity.encode()], 'a ticket of somebody else')
    check(set(grant.ticket.named(ticket.IDR_R)) == {name.encode() for name in names},
          'the ticket names others')
    check(set('DEFGHINO') <= set(grant.ticket.flags), f'flags {grant.ticket.flags}')
    return grant


# ---- SIP --------------------------------------------------------------------------------------

class SipMessage:
    def __init__(self, octets):
        head, _, self.body = octets.partition(b'\r\n\r\n')
        lines = head.decode('utf-8', 'replace').split('\r\n')
        self.start, self.headers = lines[0], []
        for line in lines[1:]:
            if line[:1] in ' \t' and self.headers:
                self.headers[-1][1] += ' ' + line.strip()
            else:
                name, _, value = line.partition(':')
                self.headers.append([name.strip().lower(), value.strip()])

    def get(self, *names):
        return next((value for name, value in self.headers if name in names), '')

    def all(self, *names):
        return [value for name, value in self.headers if name in names]

    def status(self):
        return int(self.start.split()[1]) if self.start.startswith('SIP/2.0') else 0


class Sip:
    def __init__(self, server, transport):
        host, _, port = server.rpartition(':')
        self.tcp = transport == 'tcp'
        kind = socket.SOCK_STREAM if self.tcp else socket.SOCK_DGRAM
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        self.socket = socket.socket(family, kind)
        self.socket.connect((host.strip('[]'), int(port)))
        self.host, self.port = self.socket.getsockname()[:2]
        self.shown = f'[{self.host}]' if ':' in self.host else self.host
        self.buffer = b''
        self.transport = transport

    def send(self, text, body=b''):
        self.socket.sendall(text.encode() + b'Content-Length: %d\r\n\r\n' % len(body) + body)

    def receive(self):
        """What is there now: a list of messages."""
        data = self.socket.recv(65536)
        if not self.tcp:
            return [SipMessage(data)] if data.strip() else []
        check(data, 'the server closed the connection')
        self.buffer += data
        messages = []
        while True:
            self.buffer = self.buffer.lstrip(b'\r\n')
            end = self.buffer.find(b'\r\n\r\n')
            if end < 0:
                return messages
            head = SipMessage(self.buffer[:end + 4])
            length = end + 4 + int(head.get('content-length', 'l') or 0)
            if len(self.buffer) < length:
                return messages
            messages.append(SipMessage(self.buffer[:length]))
            self.buffer = self.buffer[length:]


class Call:
    """One dialog that we start."""

    def __init__(self, sip, me, target):
        self.sip, self.me, self.target = sip, me, target
        self.call_id, self.tag = os.urandom(12).hex(), os.urandom(6).hex()
        self.to_tag, self.remote, self.routes = '', target, []
        self.cseq = random.randrange(1, 10000)
        self.invite_text, self.invite_body, self.ack = '', b'', ''
        self.answer = None
        self.ended = ''

    def request(self, method, cseq, branch, in_dialog=True):
        to_tag = f';tag={self.to_tag}' if in_dialog and self.to_tag else ''
        routes = ''.join(f'Route: {route}\r\n' for route in self.routes) if in_dialog else ''
        uri = self.remote if in_dialog else self.target
        return (f'{method} {uri} SIP/2.0\r\n'
                f'Via: SIP/2.0/{self.sip.transport.upper()} {self.sip.shown}:{self.sip.port}'
                f';branch=z9hG4bK{branch};rport\r\n'
                f'Max-Forwards: 70\r\nFrom: <{self.me}>;tag={self.tag}\r\n'
                f'To: <{self.target}>{to_tag}\r\nCall-ID: {self.call_id}\r\n'
                f'CSeq: {cseq} {method}\r\n{routes}')

    def contact(self):
        user = self.me.split(':')[1].split('@')[0]
        return (f'Contact: <sip:{user}@{self.sip.shown}:{self.sip.port}'
                f';transport={self.sip.transport}>\r\n')

    def invite(self, sdp):
        self.invite_body = sdp.encode()
        self.invite_text = (self.request('INVITE', self.cseq, os.urandom(8).hex(), False)
                            + self.contact() + 'Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n'
                            'Content-Type: application/sdp\r\n')
        wait, due, end = 0.5, 0.0, time.monotonic() + ANSWER_SECONDS
        heard = False
        while self.answer is None:
            now = time.monotonic()
            check(now < end, 'no answer to INVITE')
            if now >= due and (due == 0.0 or not (self.sip.tcp or heard)):
                self.sip.send(self.invite_text, self.invite_body)
                due, wait = now + wait, wait * 2
            if select.select([self.sip.socket], [], [], 0.1)[0]:
                for message in self.sip.receive():
                    heard = heard or message.status() > 0
                    self.handle(message)
        return self.answer

    def handle(self, message):
        status, (number, method) = message.status(), message.get('cseq').split()[:2]
        if status == 0:
            self.handle_request(message)
        elif method == 'INVITE' and int(number) == self.cseq and status >= 200:
            self.take_final(message, status)
        elif method == 'BYE' and status >= 200:
            self.ended = self.ended or 'local'

    def take_final(self, message, status):
        to = re.search(r';tag=([^;\s]+)', message.get('to', 't'))
        self.to_tag = to.group(1) if to else ''
        if status < 300:
            if not self.ack:
                contact = re.search(r'<([^>]+)>', message.get('contact', 'm'))
                check(contact, '200 without Contact')
                self.remote = contact.group(1)
                self.routes = list(reversed(message.all('record-route')))
                self.ack = self.request('ACK', self.cseq, os.urandom(8).hex())
            self.sip.send(self.ack)
        else:
            branch = re.search(r'branch=z9hG4bK([^;\s]+)', self.invite_text).group(1)
            ack = self.request('ACK', self.cseq, branch, False)
            ack = ack.replace(f'To: <{self.target}>', 'To: ' + message.get('to', 't'))
            self.sip.send(ack)
        if self.answer is None:
            self.answer = message

    def handle_request(self, message):
        method = message.start.split()[0]
        if method == 'ACK':
            return
        status = {'BYE': '200 OK', 'OPTIONS': '200 OK', 'UPDATE': '200 OK'}.get(
            method, '488 Not Acceptable Here' if method == 'INVITE' else '405 Method Not Allowed')
        text = f'SIP/2.0 {status}\r\n'
        for name, shown in (('via', 'Via'), ('from', 'From'), ('to', 'To'), ('call-id', 'Call-ID'),
                            ('cseq', 'CSeq')):
            text += ''.join(f'{shown}: {value}\r\n' for value in message.all(name, name[0]))
        self.sip.send(text)
        if method == 'BYE':
            self.ended = 'bye'

    def bye(self):
        self.cseq += 1
        request = self.request('BYE', self.cseq, os.urandom(8).hex())
        for _ in range(4):
            self.sip.send(request)
            end = time.monotonic() + 1
            while not self.ended and time.monotonic() < end:
                if select.select([self.sip.socket], [], [], 0.1)[0]:
                    for message in self.sip.receive():
                        self.handle(message)
            if self.ended:
                return
        raise Failed('BYE was not answered')


# ---- media ------------------------------------------------------------------------------------

class Stream:
    def __init__(self, host):
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        for _ in range(100):
            port = random.randrange(10000, 30000) * 2
            self.rtp = socket.socket(family, socket.SOCK_DGRAM)
            self.rtcp = socket.socket(family, socket.SOCK_DGRAM)
            try:
                self.rtp.bind((host, port))
                self.rtcp.bind((host, port + 1))
                break
            except OSError:
                self.rtp.close()
                self.rtcp.close()
        else:
            raise Failed('no ports')
        self.port, self.ssrc = port, random.getrandbits(32)
        self.tx = self.rx = None
        self.heard = []
        self.counts = {'sent': 0, 'received': 0, 'rejected': 0, 'rtcp': 0, 'rtcp_rejected': 0,
                       'wrong_ssrc': 0}
        self.sequences = set()

    def open(self, bundle, host, port):
        parameters, key, salt, mki, ssrc = bundle.srtp(1)
        check(parameters[0] == 1 and parameters[1] == 16 and parameters[11] == 10,
              'another suite than the one offered')
        check(ssrc == self.ssrc, 'our SSRC was changed')
        self.tx = media.Srtp(key, salt, mki)
        _, key, salt, mki, self.their_ssrc = bundle.srtp(2)
        self.rx = media.Srtp(key, salt, mki)
        self.to = (host, port)

    def say(self, number, hertz):
        samples = media.tone(hertz, -18, number * 160, 160) if hertz else [0] * 160
        packet = struct.pack('>BBHII', 0x80, 8 | (0x80 if number == 0 else 0),
                             (1000 + number) & 0xffff, number * 160, self.ssrc)
        self.rtp.sendto(self.tx.protect(packet + media.encode(samples)), self.to)
        self.counts['sent'] += 1

    def hear(self):
        try:
            packet = self.rx.unprotect(self.rtp.recv(2048))
        except media.SrtpError:
            self.counts['rejected'] += 1
            return
        sequence, stamp, ssrc = struct.unpack('>HII', packet[2:12])
        if ssrc != self.their_ssrc:
            self.counts['wrong_ssrc'] += 1
        self.counts['received'] += 1
        self.sequences.add(sequence)
        head = 12 + 4 * (packet[0] & 15)
        if packet[1] & 0x7f == 8:
            self.heard.append((stamp, media.decode(packet[head:])))

    def hear_rtcp(self):
        try:
            packet = self.rx.unprotect_rtcp(self.rtcp.recv(2048))
            check(packet[1] in (200, 201), 'RTCP without a report in front')
            self.counts['rtcp'] += 1
        except media.SrtpError:
            self.counts['rtcp_rejected'] += 1

    def levels(self, hertz, skip):
        """Median over blocks of 256 ms, in the order of timestamps."""
        samples = [sample for _, part in sorted(self.heard, key=lambda one: one[0])
                   for sample in part][int(skip * 8000):]
        blocks = [media.level(samples[i:i + 2048], hertz)
                  for i in range(0, len(samples) - 2047, 2048)]
        return sorted(blocks)[len(blocks) // 2] if blocks else -120.0


def sdp_of(sip, stream, key_line):
    family = 'IP6' if ':' in sip.host else 'IP4'
    number = random.getrandbits(31)
    return (f'v=0\r\no=- {number} {number} IN {family} {sip.host}\r\ns=-\r\n'
            f'c=IN {family} {sip.host}\r\nt=0 0\r\n{key_line}'
            f'm=audio {stream.port} RTP/SAVP 8\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n'
            'a=ptime:20\r\n')


def read_sdp(text):
    """Address and port of the audio, and the value of a=key-mgmt."""
    address = port = key = None
    for line in text.replace('\r', '').split('\n'):
        if line.startswith('c=IN '):
            address = line.split()[2]
        elif line.startswith('m=audio '):
            port = int(line.split()[1])
            check(line.split()[2] == 'RTP/SAVP', f'answered with {line}')
        elif line.startswith('a=key-mgmt:'):
            check(key is None, 'two key-mgmt lines in the answer')
            protocol, key = line[len('a=key-mgmt:'):].split()
            check(protocol == 'mikey', f'key management {protocol}')
    check(address and port and key, 'answer without audio, address or keys')
    return address, port, base64.b64decode(key, validate=True)


# ---- the whole ---------------------------------------------------------------------------------

def converse(args, call, stream):
    start, number = time.monotonic(), 0
    end = start + args.duration
    sockets = [call.sip.socket, stream.rtp, stream.rtcp]
    while not call.ended and (args.stay_until_bye or time.monotonic() < end):
        due = start + number * 0.02
        wait = max(0.0, due - time.monotonic())
        ready = select.select(sockets, [], [], wait)[0]
        if stream.rtp in ready:
            stream.hear()
        if stream.rtcp in ready:
            stream.hear_rtcp()
        if call.sip.socket in ready:
            for message in call.sip.receive():
                call.handle(message)
        if time.monotonic() >= due:
            stream.say(number, args.tone)
            number += 1


def judge(args, stream, report):
    good = True
    report['levels'] = {}
    for texts, hear in ((args.expect_hear, True), (args.expect_silent, False)):
        for text in texts.split(',') if texts else []:
            hertz, limit = map(float, text.split(':'))
            found = stream.levels(hertz, args.skip)
            report['levels'][f'{hertz:g}'] = round(found, 1)
            good &= found >= limit if hear else found <= limit
    return good and bool(stream.heard)


def run(args, report):
    args.identity = canonical(args.identity)
    target = canonical(args.target)
    purposes = ['conclave:create', 'conclave:join'] if args.verb == 'create' else ['conclave:join']
    grant = ask_kms(args, [target, *(canonical(uri) for uri in args.invite)], purposes)
    report['ticket_flags'] = grant.ticket.flags

    sip = Sip(args.server, args.transport)
    stream = Stream(sip.host)
    spi = grant.session_keys[0][3]
    sessions = [ticket.session_block(1, [0], stream.ssrc, spi), ticket.session_block(2, [0], None, spi)]
    offer = ticket.transfer_init(grant.ticket, grant.mpki, grant.mpkr, args.identity.encode(),
                                 target.encode(), sessions, POLICIES, random.getrandbits(32),
                                 os.urandom(32), ticket.timestamp_of(time.time()))
    call = Call(sip, args.identity, args.target)
    line = f'a=key-mgmt:mikey {base64.b64encode(offer).decode()}\r\n'
    answer = call.invite(sdp_of(sip, stream, line))
    report.update(status=answer.status(), phrase=answer.start.split(' ', 2)[-1],
                  warning=answer.get('warning'))
    check(answer.status() < 300, 'refused')

    host, port, octets = read_sdp(answer.body.decode())
    bundle = ticket.Bundle(grant.ticket, grant.mpkr, grant.session_keys, offer, octets)
    report.update(contact=call.remote, proven=bundle.responder.decode(),
                  isfocus='isfocus' in answer.get('contact', 'm'))
    check(hmac.compare_digest(canonical(call.remote), canonical(report['proven'])),
          'the Contact is not who the ticket proves')
    check(report['isfocus'] or not args.focus, 'no focus answered')
    print(json.dumps({'event': 'connected', 'contact': canonical(call.remote)}), flush=True)

    stream.open(bundle, host, port)
    converse(args, call, stream)
    report['ended'] = call.ended or 'duration'
    if not call.ended:
        call.bye()
    report.update(stream.counts)
    report['lost'] = (max(stream.sequences) - min(stream.sequences) + 1 - len(stream.sequences)
                      if stream.sequences else 0)
    check(judge(args, stream, report), 'what was heard is not what was expected')
    check(stream.counts['rejected'] == 0 and stream.counts['rtcp_rejected'] == 0
          and stream.counts['wrong_ssrc'] == 0, 'packets were not authentic')


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1])
    parser.add_argument('verb', choices=['create', 'join', 'call'])
    parser.add_argument('target')
    for name in ('--server', '--kms', '--kms-uri', '--identity', '--psk-id', '--psk-file'):
        parser.add_argument(name, required=True)
    parser.add_argument('--transport', choices=['udp', 'tcp'], default='tcp')
    parser.add_argument('--invite', action='append', default=[])
    parser.add_argument('--tone', type=float, default=0)
    parser.add_argument('--duration', type=float, default=5)
    parser.add_argument('--skip', type=float, default=1.0)
    parser.add_argument('--expect-hear', default='')
    parser.add_argument('--expect-silent', default='')
    parser.add_argument('--stay-until-bye', action='store_true')
    args = parser.parse_args()
    args.focus = args.verb != 'call'
    report = {'event': 'report', 'identity': args.identity}
    status = 0
    try:
        run(args, report)
    except (Failed, ticket.MikeyError, OSError, ValueError, struct.error) as error:
        report['problem'] = f'{type(error).__name__}: {error}'
        status = 1
    print(json.dumps(report), flush=True)
    return status


if __name__ == '__main__':
    sys.exit(main())
