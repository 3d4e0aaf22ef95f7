# SPDX-License-Identifier: Apache-2.0
"""linphonec, a softphone that shares no code with any other in these tests: SDES over TLS, Digest."""
import array
import math
import os
import shutil
import time
import wave

import devconfig
from cases.calls import HEARD, SILENT
from harness import Skip, check, levels, test, wait_until

RATE = 8000
CONFIGURATION = '''[sip]
sip_port={port}
sip_tcp_port={port}
sip_tls_port={tls}
register_only_when_network_is_up=0
guess_hostname=0
use_ipv6=0
default_proxy=0
media_encryption=srtp
media_encryption_mandatory=1
verify_server_certs=1
verify_server_cn=1
root_ca={ca}
[auth_info_0]
username={name}
passwd={password}
realm={realm}
[proxy_0]
reg_proxy=<sip:localhost:{server};transport=tls>
reg_route=<sip:localhost:{server};transport=tls;lr>
reg_identity={identity}
reg_sendregister=0
[rtp]
audio_rtp_port={media}
[sound]
echocancellation=0
echolimiter=0
agc=0
[video]
capture=0
display=0
'''


def write_tone(path, hertz, seconds=20):
    samples = array.array('h', (int(8000 * math.sin(2 * math.pi * hertz * n / RATE))
                                for n in range(seconds * RATE)))
    with wave.open(path, 'wb') as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())


class Linphone:
    """A linphonec without a screen and a sound card: it plays a tone and records what it hears."""

    def __init__(self, bench, server, name, hertz):
        if shutil.which('linphonec') is None:
            raise Skip('needs linphonec, of the package linphone-cli')
        self.folder = bench.new_folder('linphone-' + name)
        self.recording = os.path.join(self.folder, 'heard.wav')
        for folder in ('.local/share/linphone', '.config/linphone'):
            os.makedirs(os.path.join(self.folder, folder))
        port = bench.ports.take(2)
        rc = os.path.join(self.folder, 'rc')
        devconfig.write(rc, CONFIGURATION.format(
            port=port, tls=port + 1, media=bench.ports.take(2), server=server.tls_port, name=name,
            password=server.read(f'passwords/{name}').strip(), realm=devconfig.REALM,
            identity=devconfig.identity(name), ca=server.path('tls/cafile.pem')))
        write_tone(os.path.join(self.folder, 'tone.wav'), hertz)
        reader, self.keyboard = os.pipe()
        self.process = bench.spawn(['linphonec', '-c', rc], self.folder, 'linphone-' + name,
                                   stdin=reader, env={'HOME': self.folder})
        os.close(reader)
        wait_until(lambda: 'linphonec>' in self.process.log(), 'linphonec takes commands', 10)
        for words in ('ipv6 disable', 'soundcard use files',
                      f'play {os.path.join(self.folder, "tone.wav")}', f'record {self.recording}'):
            self.say(words)

    def say(self, words):
        os.write(self.keyboard, words.encode() + b'\n')
        time.sleep(.2)

    def quit(self):
        self.say('terminate')
        self.say('quit')
        self.process.wait(10)
        os.close(self.keyboard)


@test('linphonec dials in over TLS with SDES and a password, is heard, and hears the others')
def linphone(bench):
    server = bench.server()
    phone = Linphone(bench, server, 'alice', 700)
    phone.say(f'call {server.lounge}')
    row = wait_until(lambda: server.roster(server.lounge).get('alice'), 'alice is in', 10)
    check((row['keys'], row['proof']) == ('sdes', 'digest'), f'by SDES and password, found {row}')
    bob = bench.ua(server, 'bob', 'join', server.lounge, tls=True, tone=1000, duration=3,
                   hear=[(700, HEARD)], silent=[(1000, SILENT)], more=['--measure-from', '1'])
    check(bob.ended() == 0, f'bob hears her: {bob.why()}')
    row = server.roster(server.lounge)['alice']
    phone.quit()
    # at the very start it sends a few packets that nobody's key fits
    check(row['unauthentic'] < 5 and row['received'] > 100, f'what it sends is authentic, found {row}')
    found = levels(phone.recording, (700, 1000), skip=2, seconds=1.5)
    check(found[1000] > HEARD and found[700] < SILENT, f'she hears bob alone, found {found}')
    wait_until(lambda: 'alice' not in server.roster(server.lounge), 'and she has left')
