#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Mutate the cases of sip_torture.py and throw them at a server over UDP.

usage: sip_fuzz.py HOST PORT COUNT [SEED]

Run the server under a memory limit (ulimit -v) or a sanitizer: a parser that
loops while allocating takes the whole machine with it otherwise.  The same
COUNT and SEED send the same messages, up to the sender's port number and the
random branch values.
"""
import random
import socket
import sys

import sip_torture

TOKENS = [b'%00', b'<', b'>', b'"', b';', b',', b'\r\n ', b'\r\n\r\n', b'sip:', b'tel:', b'*', b'@',
          b'[', b'[::1]', b'=', b'\\', b'4294967296', b'-1', b'\x00', b'\xff' * 8, b'A' * 300, b'%',
          b'?', b'lr', b':0', b':99999', b'(', b')', b'/']


def mutate(b, rnd):
    for _ in range(rnd.randint(1, 6)):
        if not b:
            break
        p, k = rnd.randrange(len(b)), rnd.random()
        if k < .3:
            b[p] = rnd.randrange(256)
        elif k < .5:
            del b[p:p + rnd.randint(1, 20)]
        elif k < .85:
            b[p:p] = rnd.choice(TOKENS)
        else:
            q = rnd.randrange(len(b))
            b[p:p] = b[q:q + rnd.randint(1, 60)]
    return bytes(b[:60000])


def main():
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rnd = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    seeds = [d for _, d in sip_torture.make_cases(host, port, 'udp') if len(d) < 4000]
    s = sip_torture.open_sock(host, port, 'udp', 0.02)
    me = sip_torture.own(s)
    for i in range(count):
        try:
            s.send(mutate(bytearray(rnd.choice(seeds).replace(b'@L', me)), rnd))
        except OSError:
            pass
        if i % 20 == 0:
            try:
                while True:
                    s.recv(65536)
            except OSError:
                pass
    try:
        print('alive:', sip_torture.alive(host, port, 'udp'))
        return 0
    except OSError as e:
        print('DEAD:', repr(e))
        return 1


if __name__ == '__main__':
    sys.exit(main())
