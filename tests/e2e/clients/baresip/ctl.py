#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Drive a baresip 1.0.0 through its ctrl_tcp module (JSON in netstrings).

usage: ctl.py PORT STEP...

A STEP is one argument:
    "wait EVENT [SECONDS]"   wait for an event of that type (default 10 s); also matches
                             an event that came during an earlier step of this run
    "sleep SECONDS"          let time pass (events keep being read)
    "show"                   print the events read so far as JSON lines
    "COMMAND [PARAMS]"       anything else is a long command of the menu module:
                             dial, accept, hangup, hold, resume, mute, sndcode, transfer,
                             listcalls, callstat, audio_debug, uafind, quit

ctrl_tcp serves ONE connection: a second one silently closes the first, so run
all the steps of a test over a single ctl.py (or use class Ctl from Python).
Event types: CALL_INCOMING CALL_RINGING CALL_PROGRESS CALL_ESTABLISHED
CALL_CLOSED CALL_RTCP CALL_MENC CALL_TRANSFER TRANSFER_FAILED REGISTER_OK.
Exit status 1 when a wait times out or a command is refused.
"""
import json
import socket
import sys
import time


class Ctl:
    def __init__(self, port, host='127.0.0.1'):
        self.s = socket.create_connection((host, port), timeout=5)
        self.buf = b''
        self.events = []
        self.seen = 0

    def send(self, command, params=''):
        msg = json.dumps({'command': command, 'params': params, 'token': 't'}).encode()
        self.s.sendall(str(len(msg)).encode() + b':' + msg + b',')

    def recv(self, timeout):
        end = time.time() + timeout
        while True:
            head, sep, rest = self.buf.partition(b':')
            if sep and len(rest) > int(head):
                n = int(head)
                self.buf = rest[n + 1:]
                return json.loads(rest[:n].decode('utf-8', 'replace'), strict=False)
            left = end - time.time()
            if left <= 0:
                return None
            self.s.settimeout(left)
            try:
                data = self.s.recv(65536)
            except socket.timeout:
                return None
            if not data:
                raise EOFError('baresip closed the control connection')
            self.buf += data

    def pump(self, seconds):
        """Read events for a while."""
        end = time.time() + seconds
        while time.time() < end:
            m = self.recv(end - time.time())
            if m and m.get('event'):
                self.events.append(m)

    def cmd(self, command, params='', timeout=5):
        self.send(command, params)
        end = time.time() + timeout
        while time.time() < end:
            m = self.recv(end - time.time())
            if m and m.get('response'):
                return m
            if m and m.get('event'):
                self.events.append(m)
        return None

    def wait(self, kind, seconds=10):
        """First event of that type not yet waited for."""
        end = time.time() + seconds
        while True:
            for i in range(self.seen, len(self.events)):
                if self.events[i].get('type') == kind:
                    self.seen = i + 1
                    return self.events[i]
            left = end - time.time()
            if left <= 0:
                return None
            m = self.recv(left)
            if m and m.get('event'):
                self.events.append(m)


def main():
    c = Ctl(int(sys.argv[1]))
    rc = 0
    for step in sys.argv[2:]:
        word, _, rest = step.partition(' ')
        if word == 'wait':
            args = rest.split()
            m = c.wait(args[0], float(args[1]) if len(args) > 1 else 10)
            print(f'wait {args[0]}:', json.dumps(m) if m else 'TIMEOUT', flush=True)
            if not m:
                return 1
        elif word == 'sleep':
            c.pump(float(rest))
        elif word == 'show':
            for m in c.events:
                print(json.dumps(m))
        else:
            try:
                m = c.cmd(word, rest)
            except (EOFError, ConnectionError):
                m = {'ok': word == 'quit', 'data': ''}
            text = (m or {}).get('data', 'no answer').strip()
            print(f'{step}: {"ok" if m and m.get("ok") else "REFUSED"}{" " + text if text else ""}', flush=True)
            if not m or not m.get('ok'):
                rc = 1
            if word == 'quit':
                return rc
    return rc


if __name__ == '__main__':
    sys.exit(main())
