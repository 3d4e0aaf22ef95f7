# SPDX-License-Identifier: Apache-2.0
"""Messages that kill other servers, torture, and thousands of silent connections."""
import os
import re
import resource
import socket
import subprocess
import sys
import time
import uuid

import devconfig
import sip
from cases.calls import conference_of
from harness import CLIENTS, check, test, wait_until


@test('one INVITE with Contact: *, answered and never acknowledged, kills nothing',
      only='sanitized')
def contact_star(bench):
    server = bench.server()
    password = server.read('passwords/alice').strip()
    offer = sip.sdp('m=audio 40000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:' +
                    'A' * 40 + '\r\n')
    for contact in ('*', '<sip:>', '<tel:+155>', '<mailto:a@b.c>', '<foo:bar>', '<<>>', ''):
        peer = sip.Peer(server.tls_port, 'tls')
        call = uuid.uuid4().hex
        text = sip.request(peer, 'INVITE', server.lounge, call,
                           extra='Content-Type: application/sdp\n')
        challenge_text = text
        peer.send(challenge_text, offer)
        answer = peer.receive(5)
        while answer is not None and sip.status_of(answer) < 200:
            answer = peer.receive(5)
        check(answer is not None, 'an answer comes')
        authorization = sip.digest(sip.header(answer, 'WWW-Authenticate'), 'alice', password,
                                   'INVITE', server.lounge)
        text = sip.request(peer, 'INVITE', server.lounge, call, 2,
                           'Content-Type: application/sdp\n' + authorization)
        text = '\n'.join(f'Contact: {contact}' if line.startswith('Contact:') else line
                         for line in text.split('\n'))
        peer.send(text, offer)
        peer.receive(2)
        peer.close()  # and never an ACK
    time.sleep(34)    # the timers of an INVITE without ACK have run out
    server.alive()


@test('SDP that sends sdp_parse() round in circles is refused')
def sdp_killers(bench):
    server = bench.server()
    for media in ('m=audio 9 FOO (\r\n', 'm=audio 9 RT\u00be/AVP 0\r\n', 'm=audio 9 RTP/SAVP (\r\n',
                  'm=audio 9 RTP/SAVP 0\r\n' * 2000, 'm=\r\n', 'm=audio\r\n',
                  'm=audio 99999999999 RTP/SAVP 0\r\n',
                  'm=audio 9 RTP/SAVP 0\r\na=key-mgmt:mikey ' + 'A' * 4000 + '\r\n',
                  'm=audio 9 RTP/SAVP 0\r\na=crypto:' + '9' * 4000 + '\r\n'):
        peer = sip.Peer(server.sip_port, 'tcp')
        body = (b'v=0\r\no=m 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n' +
                media.encode('latin1'))
        answer = sip.invite(peer, server.factory, body)
        check(sip.status_of(answer) in (400, 401, 403, 413, 488),
              f'{media[:30]!r} is refused, found {answer}')
        peer.close()
    check(memory_mb(server) < 500, 'and costs no memory')
    server.alive()


def memory_mb(server):
    with open(f'/proc/{server.process.child.pid}/status') as status:
        return int(next(line for line in status if line.startswith('VmRSS')).split()[1]) / 1024


def torture(server, transport):
    result = subprocess.run(
        [sys.executable, os.path.join(CLIENTS, 'sip_torture.py'), '127.0.0.1',
         str(server.sip_port), transport], stdout=subprocess.PIPE, text=True, timeout=200)
    check(result.returncode == 0, f'the server lives: {result.stdout[-2000:]}')


@test('torture messages over UDP and TCP leave calls working', only='sanitized')
def tortured(bench):
    server = bench.server()
    torture(server, 'udp')
    torture(server, 'tcp')
    server.alive()
    wait_until(lambda: server.ctl('status')['legs'] == 0, 'no leg is left', 40)


@test('mutated messages by the thousand leave calls working', only='sanitized')
def mutated(bench):
    server = bench.server()
    result = subprocess.run(
        [sys.executable, os.path.join(CLIENTS, 'sip_fuzz.py'), '127.0.0.1', str(server.sip_port),
         '4000', '7'], stdout=subprocess.PIPE, text=True, timeout=200)
    check(result.returncode == 0, f'the server lives: {result.stdout}')
    server.alive()


@test('2,000 silent TCP and TLS connections leave calls working', only='ordinary')
def silent(bench):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    server = bench.server(options=[('sip', 'idle-timeout', '5s')])
    held = []
    try:
        for port in (server.sip_port, server.tls_port):
            for _ in range(1000):
                held.append(socket.create_connection(('127.0.0.1', port), 10))
        began = time.monotonic()
        server.alive()
        check(time.monotonic() - began < 10, 'a call does not wait for silent connections')
        wait_until(lambda: server.ctl('status')['sip-connections'] < 20,
                   'silent connections are closed', 30)
    finally:
        for connection in held:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    server.alive()


@test('a peer that stops in the middle of a message or of a handshake is cut off')
def halves(bench):
    server = bench.server(options=[('sip', 'idle-timeout', '2s')])
    half = sip.Peer(server.sip_port, 'tcp')
    half.send_raw(b'OPTIONS ' + server.factory.encode() + b' SIP/2.0\r\nVia: SIP/2.0/TCP x')
    hello = socket.create_connection(('127.0.0.1', server.tls_port))
    hello.sendall(bytes.fromhex('1603010200010001fc0303'))
    garbage = socket.create_connection(('127.0.0.1', server.tls_port))
    garbage.sendall(b'GET / HTTP/1.0\r\n\r\n')
    for connection in (half.socket, hello, garbage):
        connection.settimeout(15)
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
        except socket.timeout:
            check(False, 'the server closes a connection that says nothing more')
        connection.close()
    peer = sip.Peer(server.tls_port, 'tls', ca=server.path('tls/cafile.pem'))
    check(sip.options(peer, server.factory) == 200, 'others are served')


@test('clear and forged packets at media ports are counted and dropped')
def media_ports(bench):
    server = bench.server()
    first, last = (int(re.search(r'(?m)^%s=(.*)$' % key, server.read('conclave.conf')).group(1))
                   for key in ('port-first', 'port-last'))
    alice = bench.ua(server, 'alice', 'create', tone=440,
                     more=['--invite', devconfig.identity('bob')])
    conference_of(alice)
    time.sleep(1)
    before = server.ctl('status')['packets-dropped']
    spray = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for length in range(0, 200, 3):
        for port in range(first, last + 1):
            spray.sendto(b'\x80\x08' + os.urandom(length), ('127.0.0.1', port))
    after = server.ctl('status')['packets-dropped']
    check(after > before, f'forged packets are counted: {before} before, {after} after')
    row = server.roster(conference_of(alice))['alice']
    check(row['lost'] == 0, f'and nothing is lost by them, found {row}')
    alice.hang_up()
    alice.ended()
    report = alice.find('report')[0]
    check(report['exit'] == 0 and report['lost'] == 0, f'the call is untouched, found {report}')
