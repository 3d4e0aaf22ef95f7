#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Make a development set-up: certificate, users, keys, policy, configuration.

usage: devconfig.py DIR [--sip-port N] [--tls-port N] [--kms-port N] [--phone-port N]
                        [--howto --build DIR]

What is there already stays as it is, so that it can be edited; ports that are given explicitly
are changed in it, and nothing else is. All secrets are random and of mode 0600. With --howto it prints how to join.
"""
import argparse
import base64
import hashlib
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile

DOMAIN = 'example.org'
HOST = '127.0.0.1'
SERVICE = 'conf1'
PEOPLE = ('alice', 'bob', 'carol', 'dave', 'erin')
REALM = 'conclave'
FACTORY = f'sip:factory.{SERVICE}@{HOST}'
LOUNGE = f'sip:lounge.{SERVICE}@{HOST}'
OFFICE = f'sip:office.{SERVICE}@{HOST}'
PHONE_PORT = 5070
KMS_URI = f'sip:kms@{DOMAIN}'


def identity(name):
    return f'sip:{name}@{DOMAIN}'


def write(path, text, mode=0o644):
    """Whole or not at all."""
    fd, part = tempfile.mkstemp(dir=os.path.dirname(path))
    with os.fdopen(fd, 'w') as file:
        file.write(text)
    os.chmod(part, mode)
    os.rename(part, path)


def write_once(path, make, mode=0o644):
    if not os.path.exists(path):
        write(path, make(), mode)


def read(path):
    with open(path) as file:
        return file.read()


# ---- certificate ----

def openssl(*arguments, text=None):
    result = subprocess.run(('openssl',) + arguments, input=text, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if result.returncode != 0:
        sys.exit(f'openssl {" ".join(arguments)}: {result.stderr}')
    return result.stdout


def certificate_is_good(tls):
    agent = os.path.join(tls, 'agent.pem')
    if not os.path.exists(agent) or not os.path.exists(os.path.join(tls, 'cafile.pem')):
        return False
    check = subprocess.run(('openssl', 'x509', '-in', agent, '-noout', '-checkend', '86400'),
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return check.returncode == 0


def make_certificate(tls):
    """agent.pem and cafile.pem, as the SIP stack wants them; the CA's key is not kept."""
    if certificate_is_good(tls):
        return
    os.makedirs(tls, mode=0o700, exist_ok=True)
    curve = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes')
    with tempfile.TemporaryDirectory(dir=tls) as work:
        def at(name):
            return os.path.join(work, name)
        openssl('req', '-x509', *curve, '-keyout', at('ca.key'), '-out', at('ca.crt'),
                '-days', '397', '-subj', '/CN=Conclave development CA',
                '-addext', 'basicConstraints=critical,CA:TRUE,pathlen:0',
                '-addext', 'keyUsage=critical,keyCertSign')
        openssl('req', *curve, '-keyout', at('key'), '-out', at('csr'), '-subj', '/CN=localhost')
        write(at('ext'), 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n'
                         'extendedKeyUsage=serverAuth,clientAuth\n'
                         f'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1,URI:sip:{HOST}\n')
        openssl('x509', '-req', '-in', at('csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'),
                '-CAcreateserial', '-extfile', at('ext'), '-out', at('crt'), '-days', '397')
        write(os.path.join(tls, 'agent.pem'), read(at('key')) + read(at('crt')), 0o600)
        write(os.path.join(tls, 'cafile.pem'), read(at('ca.crt')))


# ---- people ----

def make_person(directory, name):
    """A key shared with the KMS, and a password for softphones."""
    write_once(os.path.join(directory, 'keys', name + '.psk'),
               lambda: secrets.token_hex(32) + '\n', 0o600)
    write_once(os.path.join(directory, 'passwords', name),
               lambda: secrets.token_urlsafe(12) + '\n', 0o600)


def users_text(directory):
    out = ['# Softphone users of the development set-up. The passwords stand in passwords/NAME;',
           '# here are their hashes (RFC 7616, realm "%s").' % REALM]
    for name in PEOPLE:
        password = read(os.path.join(directory, 'passwords', name)).strip()
        a1 = f'{name}:{REALM}:{password}'.encode()
        out += ['', f'[user {name}]', f'identity={identity(name)}',
                'ha1=' + hashlib.md5(a1).hexdigest(),
                'ha1-sha256=' + hashlib.sha256(a1).hexdigest()]
    return '\n'.join(out) + '\n'


def kms_text(directory):
    server_key = base64.b64encode(secrets.token_bytes(32)).decode()
    out = ['# Key file of the embedded KMS: users, what they may request, and the conference system.',
           '', '[kms]', f'uri={KMS_URI}',
           '', '# The conference server itself.', f'[user {SERVICE}]', f'psk=base64:{server_key}',
           f'may-request=*@{DOMAIN}',
           '', f'[service {SERVICE}]', f'user={SERVICE}', f'host={HOST}']
    for name in PEOPLE:
        out += ['', f'[user {name}]', f'identities={identity(name)}',
                f'psk-file=keys/{name}.psk', 'may-request=any', 'secure-conference=yes']
    return '\n'.join(out) + '\n'


# ---- server ----

def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(('::1', 0))
        return True
    except OSError:
        return False


def control_path(directory):
    """A Unix socket's path is short; a deep checkout needs another place for it."""
    if len(directory) < 90:
        return 'control'
    short = os.path.join(tempfile.gettempdir(), 'conclave-%d-%s' % (
        os.getuid(), hashlib.sha256(directory.encode()).hexdigest()[:8]))
    os.makedirs(short, mode=0o700, exist_ok=True)
    return os.path.join(short, 'control')


def media_text():
    """Where the prompts of a source tree lie; an installed server finds its own."""
    prompts = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data/prompts/en')
    return f'\n[media]\nprompts={os.path.normpath(prompts)}\n' if os.path.isdir(prompts) else ''


def outbound_text(phone):
    """Nobody knows where example.org is on this machine: one phone waits for all its calls."""
    return f'''# Whom a conference calls is called here, whoever he is; "conclave-ua answer" waits there.
outbound=sip:{HOST}:{phone};lr
''' if phone else ''


def server_text(directory, sip, tls, kms, phone=None):
    hosts = ['127.0.0.1'] + (['[::1]'] if has_ipv6() else [])
    listen = [f'{t}:{h}:{p}' for t, p in (('udp', sip), ('tcp', sip), ('tls', tls)) for h in hosts]
    return f'''# Development configuration: everything on loopback. conclave.conf(5) has every option.

[log]
level=info

[control]
socket={control_path(directory)}

[sip]
listen={';'.join(listen)}
tls-dir=tls
realm={REALM}
users-file=users.conf
{outbound_text(phone)}{media_text()}
[policy]
file=policy.conf

[kms]
uri={KMS_URI}
user={SERVICE}

[embedded-kms]
keys=kms-keys.conf
listen=127.0.0.1:{kms}
'''


def policy_text():
    return f'''# Who may create conferences, and who may be in them; see conclave-policy(5).

[policy]
format=1

[default]
deny=

# Conferences on demand: the creator's ticket names who may be in.
[factory adhoc]
uri={FACTORY}
create-allow=*@{DOMAIN}
signalling=any
key-mgmt-allow=mikey-ticket
srtp-suites=AEAD_AES_256_GCM;AEAD_AES_128_GCM;AES_256_CM_HMAC_SHA1_80;AES_CM_128_HMAC_SHA1_80

# A room that is always there, for softphones too: SDES keys over TLS, identity by password.
[conference lounge]
uri={LOUNGE}
scheduled=yes
no-ticket-list=policy
allow=*@{DOMAIN}
auth=digest
signalling=tls
key-mgmt-allow=mikey-ticket;sdes
srtp-suites=AEAD_AES_256_GCM;AEAD_AES_128_GCM;AES_256_CM_HMAC_SHA1_80;AES_CM_128_HMAC_SHA1_80;AES_CM_128_HMAC_SHA1_32
'''


def pin_hash(pin):
    salt, rounds = secrets.token_bytes(16), 200000
    key = hashlib.pbkdf2_hmac('sha256', pin.encode(), salt, rounds)
    return '$'.join(('pbkdf2-sha256', str(rounds), base64.b64encode(salt).decode(),
                     base64.b64encode(key).decode()))


def office_text(pin):
    return f'''
# A room with a door: who calls waits until alice lets him in, and everybody keys in a PIN.
[conference office]
uri={OFFICE}
scheduled=yes
no-ticket-list=policy
allow=*@{DOMAIN}
owners={identity('alice')}
moderators={identity('alice')}
signalling=any
lobby=yes
pin=additional
pin-hash={pin_hash(pin)}
'''


def with_ports(text, sip, tls, kms, phone=None):
    """The configuration with other ports, where they are given; the rest is the user's."""
    def change(text, pattern, port):
        return text if port is None else re.sub(pattern, lambda m: f'{m.group(1)}{port}', text)
    listen = re.search(r'(?m)^\[sip\][^[]*?^listen *=(.*)$', text)
    if listen:
        line = change(listen.group(1), r'((?:udp|tcp):(?:\[[^]]*\]|[^:;\[]*):)\d+', sip)
        line = change(line, r'(tls:(?:\[[^]]*\]|[^:;\[]*):)\d+', tls)
        text = text[:listen.start(1)] + line + text[listen.end(1):]
    text = change(text, r'(?m)^(outbound *= *sip:[^:;\n]*:)\d+', phone)
    return change(text, r'(?m)^(\[embedded-kms\][^[]*?^listen *=.*:)\d+$', kms)


def make(directory, sip=None, tls=None, kms=None, phone=None, office=False):
    """Everything in @directory; returns nothing, complains by exiting.

    With @phone the server has somewhere to call people, with @office there is a room with a door.
    """
    directory = os.path.abspath(directory)
    for name in ('', 'keys', 'passwords'):
        os.makedirs(os.path.join(directory, name), mode=0o700, exist_ok=True)

    def at(name):
        return os.path.join(directory, name)
    make_certificate(at('tls'))
    for name in PEOPLE:
        make_person(directory, name)
    write_once(at('users.conf'), lambda: users_text(directory), 0o600)
    write_once(at('kms-keys.conf'), lambda: kms_text(directory), 0o600)
    if office:
        write_once(at('passwords/office-pin'),
                   lambda: f'{secrets.randbelow(900000) + 100000}\n', 0o600)
        write_once(at('policy.conf'), lambda: policy_text() +
                   office_text(read(at('passwords/office-pin')).strip()), 0o600)
    write_once(at('policy.conf'), policy_text)
    write_once(at('conclave.conf'),
               lambda: server_text(directory, sip or 5060, tls or 5061, kms or 8089, phone))
    found = read(at('conclave.conf'))
    wanted = with_ports(found, sip, tls, kms, phone)
    if wanted != found:
        write(at('conclave.conf'), wanted)


# ---- what to tell the user ----

def ports_of(directory):
    """(sip, tls, kms) of the configuration that is there, whoever wrote it."""
    text = read(os.path.join(directory, 'conclave.conf'))

    def port(pattern, default):
        found = re.search(pattern, text)
        return int(found.group(1)) if found else default
    return (port(r'udp:[^;\n]*?:(\d+)', 5060), port(r'tls:[^;\n]*?:(\d+)', 5061),
            port(r'(?m)^\[embedded-kms\][^[]*?^listen=.*:(\d+)$', 8089))


def phone_of(directory):
    """The port that calls of the server go to, or None when it has none here."""
    text = read(os.path.join(directory, 'conclave.conf'))
    found = re.search(r'(?m)^outbound *= *sip:127\.0\.0\.1:(\d+)', text)
    return int(found.group(1)) if found else None


def with_port(uri, port, usual):
    return uri if port == usual else f'{uri}:{port}'


def shown(path):
    """Relative to where the user stands, when that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) else path


def calling_howto(phone, ua):
    """What makes the conference call somebody, when there is somewhere to call."""
    if phone is None:
        return ''
    return f'''
Have people called. All calls of the server go to 127.0.0.1:{phone}; carol waits there:

  {ua} answer --listen 127.0.0.1:{phone} --keymgmt mikey $(me carol) --tone 1000

and alice brings her in by REFER at two seconds, throws her out at ten, and ends it all at twelve:

  {ua} create $(me alice) --factory $FACTORY --invite {identity('carol')} --tone 440 \\
      --refer 2:{identity('carol')} --remove 10:{identity('carol')} --end-conference 12

With a list at the creation instead of REFER (start carol's line first, again):

  {ua} create $(me alice) --factory $FACTORY --dial {identity('carol')} --tone 440
'''


def office_howto(directory, ua, sip):
    """The room with a door, when it is there."""
    if not os.path.exists(os.path.join(directory, 'passwords/office-pin')):
        return ''
    pin = read(os.path.join(directory, 'passwords/office-pin')).strip()
    return f'''
The office has a PIN, {pin}, and a lobby, whose door alice opens. Each of the two in a terminal of
his own, with commands to type while the call stands:

  {ua} join {with_port(OFFICE, sip, 5060)} $(me alice) --interactive
  {ua} join {with_port(OFFICE, sip, 5060)} $(me bob) --interactive

  dtmf {pin}#      the PIN, for alice at once, for bob when he is in
  dtmf *1          alice lets in who waits; *2 turns him away, *7 locks and unlocks
'''


def howto(directory, build):
    sip, tls, kms = ports_of(directory)
    keys, ca = (shown(os.path.join(directory, p)) for p in ('keys', 'tls/cafile.pem'))
    ua = shown(os.path.join(build, 'conclave-ua'))
    ctl = (f"{shown(os.path.join(build, 'conclavectl'))} "
           f"--config {shown(os.path.join(directory, 'conclave.conf'))}")
    kms_url = f'http://127.0.0.1:{kms}/keymanagement'
    password = read(os.path.join(directory, 'passwords', 'alice')).strip()
    lounge = with_port(LOUNGE, tls, 5061)
    print(f'''
Conclave is ready. Ctrl-C ends it.

  factory   {with_port(FACTORY, sip, 5060)}
  lounge    {lounge};transport=tls   (always there, softphones welcome)
  KMS       {kms_url}

Paste this first into another terminal, in this folder; the lines below use it:

  FACTORY={with_port(FACTORY, sip, 5060)}
  me() {{ echo --proxy sip:127.0.0.1:{sip} --kms {kms_url} --kms-uri {KMS_URI} \\
      --identity sip:$1@{DOMAIN} --psk-id $1 --psk-file {keys}/$1.psk; }}
  newest() {{ {ctl} list | \\
      grep -o 'sip:[a-z2-7]\\{{20,\\}}\\.{SERVICE}@[^ ]*' | tail -n 1; }}

Create a conference as alice, with a ticket that names bob and carol, and dial into it as bob:

  {ua} create $(me alice) --factory $FACTORY \\
      --invite {identity('bob')} --invite {identity('carol')} --tone 440
  {ua} join $(newest) $(me bob) --tone 660

With one more option alice changes who may be in after five seconds, to dave alone:

      --allow-at 5:{identity('dave')}
{calling_howto(phone_of(directory), ua)}{office_howto(directory, ua, sip)}
Meet in the lounge with a softphone: SDES over TLS, any of {', '.join(PEOPLE)}.

  account   {identity('alice')}   user alice   password {password}   realm {REALM}
  call      {lounge};transport=tls
  trust     {ca}

baresip takes this line in ~/.baresip/accounts, and then /dial {lounge};transport=tls

  <sip:alice@127.0.0.1:5091;transport=tls>;regint=0;mediaenc=srtp-mand;audio_codecs=PCMA;\
auth_user=alice;auth_pass={password}

See what is going on, and steer it:

  {ctl} list
  {ctl} show $(newest)
  {ctl} kick $(newest) {identity('bob')}
''', flush=True)


def port_number(text):
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a port from 1 to 65535")
    return int(text)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1].split('\n')[0])
    parser.add_argument('dir')
    for name in ('--sip-port', '--tls-port', '--kms-port', '--phone-port'):
        parser.add_argument(name, type=port_number, metavar='N')
    parser.add_argument('--howto', action='store_true')
    parser.add_argument('--build', default='build')
    a = parser.parse_args()
    if a.howto:
        howto(os.path.abspath(a.dir), os.path.abspath(a.build))
        return
    try:
        phone = a.phone_port
        if phone is None and not os.path.exists(os.path.join(a.dir, 'conclave.conf')):
            phone = PHONE_PORT
        make(a.dir, a.sip_port, a.tls_port, a.kms_port, phone, office=True)
    except OSError as error:
        sys.exit(f'{error.filename}: {error.strerror}')


if __name__ == '__main__':
    main()
