#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hand-written malformed and tortuous SIP requests (after RFC 4475 and beyond).

usage: sip_torture.py HOST PORT udp|tcp [NAME-PART...]

Sends every case (or those whose name contains a NAME-PART) on a socket of its
own, prints the answers, and ends with a plain OPTIONS: exit status 1 if the
server no longer answers it.  A server under test must answer or ignore each
case; it must never stop, and 40 s later (un-ACKed INVITE timers!) it must still
be there - run with --settle to wait and probe again.
"""
import socket
import sys
import time
import uuid


def make_cases(host, port, tr):
    """[(name, bytes)]; '@L' in the bytes stands for the sender's own address:port."""
    def base(m='OPTIONS',uri=None,extra='',body='',cl=None,via=None,to=None,frm=None,cseq=None,cid=None,mf='Max-Forwards: 70\r\n',ver='SIP/2.0',contact=True):
        uri=uri or f'sip:conf@{host}:{port}'
        b=body if isinstance(body,bytes) else body.encode()
        s=f'{m} {uri} {ver}\r\n'+(via or f'Via: SIP/2.0/{tr.upper()} @L;branch=z9hG4bK{uuid.uuid4().hex};rport')+'\r\n'+mf+(frm or 'From: <sip:t@example.com>;tag=t1')+'\r\n'+(to or f'To: <{uri if uri.startswith("sip") else "sip:conf@x"}>')+'\r\n'+f'Call-ID: {cid or uuid.uuid4().hex}\r\n'+(cseq or f'CSeq: 1 {m}')+'\r\n'+('Contact: <sip:t@@L>\r\n' if contact else '')+extra
        if cl is not False: s+=f'Content-Length: {len(b) if cl is None else cl}\r\n'
        return s.encode()+b'\r\n'+b
    sdp='v=0\r\no=m 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0\r\n'
    ct='Content-Type: application/sdp\r\n'
    cases=[
    ('control OPTIONS',base()),
    ('wsinv short tortuous INVITE',f'''INVITE sip:vivekg@{host}:{port};unknownparam SIP/2.0\r
TO :\r
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r
from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r
  ;\r
  tag = 98asjd8\r
MaX-fOrWaRdS: 0068\r
Call-ID: wsinv.{uuid.uuid4().hex}@192.0.2.1\r
Content-Length   : {len(sdp)}\r
cseq: 0009\r
  INVITE\r
Via  : SIP  /   2.0\r
 /{tr.upper()}\r
    @L;branch=z9hG4bK{uuid.uuid4().hex};rport\r
s :\r
NewFangledHeader:   newfangled value\r
 continued newfangled value\r
UnknownHeaderWithUnusualValue: ;;,,;;,;\r
Content-Type: application/sdp\r
Route:\r
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r
v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r
  branch  =   z9hG4bK9ikj8  ,\r
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r
 z9hG4bK30239\r
m:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\r
      newvalue ;\r
  secondparam ; q = 0.33\r
\r
{sdp}'''.encode()),
    ('intmeth extension method chars',base(m="!interesting-Method0123456789_*+`.%indeed'~")),
    ('esc01 escaped user',base(uri=f'sip:sips%3Auser%40example.com@{host}:{port}')),
    ('escnull %00 in user',base(uri=f'sip:null-%00-null@{host}:{port}')),
    ('esc02 method with %',base(m='RE%47IST%45R')),
    ('lwsdisp no space before <',base(frm='From: caller<sip:caller@example.com>;tag=323')),
    ('longreq 8k header',base(extra='X-Long: '+'a'*8000+'\r\n')),
    ('huge 70k header',base(extra='X-Long: '+'a'*70000+'\r\n')),
    ('1000 headers',base(extra=''.join(f'X-H{i}: v\r\n' for i in range(1000)))),
    ('300 Via entries',base(extra=''.join(f'Via: SIP/2.0/UDP 10.0.0.{i%250};branch=z9hG4bKx{i}\r\n' for i in range(300)))),
    ('semiuri',base(uri=f'sip:user;par=u%40example.net@{host}:{port}')),
    ('transports odd Vias',base(extra='Via: SIP/2.0/SCTP 1.2.3.4;branch=z9hG4bKa\r\nVia: SIP/2.0/UNKNOWN 1.2.3.4;branch=z9hG4bKb\r\n')),
    ('unknown URI scheme',base(uri='nobodyKnowsThisScheme:totallyopaquecontent')),
    ('soap.beep scheme',base(uri='soap.beep://192.0.2.103:3002')),
    ('tel URI',base(uri='tel:+15551234')),
    ('missing To',base(to='X-No: to')),
    ('missing Call-ID',base().replace(b'Call-ID',b'X-CallID')),
    ('missing CSeq',base(cseq='X-no: cseq')),
    ('missing From tag',base(frm='From: <sip:t@example.com>')),
    ('missing Max-Forwards',base(mf='')),
    ('Max-Forwards 0',base(mf='Max-Forwards: 0\r\n')),
    ('Max-Forwards 300',base(mf='Max-Forwards: 300\r\n')),
    ('CSeq method mismatch',base(cseq='CSeq: 8 INVITE')),
    ('CSeq scalar too large',base(cseq='CSeq: 36893488147419103232 OPTIONS')),
    ('CSeq 2^31+',base(cseq='CSeq: 4294967295 OPTIONS')),
    ('bad version SIP/7.0',base(ver='SIP/7.0')),
    ('negative Content-Length',base(m='INVITE',extra=ct,body=sdp,cl=-999)),
    ('Content-Length larger than body',base(m='INVITE',extra=ct,body=sdp,cl=9999)),
    ('Content-Length smaller',base(m='INVITE',extra=ct,body=sdp,cl=20)),
    ('no Content-Length',base(m='INVITE',extra=ct,body=sdp,cl=False)),
    ('multiple Content-Length',base(m='INVITE',extra=ct+'Content-Length: 13\r\n',body=sdp)),
    ('quote unbalanced To',base(to='To: "Mr. J. User <sip:j.user@example.com>')),
    ('ltgtruri',base(uri=f'<sip:user@{host}:{port}>')),
    ('lws in R-URI',base(uri=f'sip:user@{host}:{port}; lr')),
    ('two spaces in start line',base().replace(b'OPTIONS sip',b'OPTIONS  sip',1)),
    ('trailing ws in start line',base().replace(b' SIP/2.0\r\n',b' SIP/2.0  \r\n',1)),
    ('headers in R-URI',base(uri=f'sip:user@{host}:{port}?Route=%3Csip:example.com%3E')),
    ('bad Date',base(extra='Date: Fri, 01 Jan 2010 16:00:00 EST\r\n')),
    ('bad Via branch empty',base(via=f'Via: SIP/2.0/{tr.upper()} @L;branch=z9hG4bK;rport')),
    ('no branch (2543)',base(via=f'Via: SIP/2.0/{tr.upper()} @L;rport')),
    ('Require unknown',base(extra='Require: nothingSupportsThis, nothingSupportsThisEither\r\n')),
    ('Proxy-Require',base(extra='Proxy-Require: noProxiesSupportThis\r\n')),
    ('multi From/To/Call-ID',base(extra='From: <sip:x@y>;tag=2\r\nTo: <sip:q@z>\r\nCall-ID: second\r\nCSeq: 5 INVITE\r\n')),
    ('compact dup To',base(extra='t: <sip:x@y>\r\n')),
    ('unknown content type',base(m='INVITE',extra='Content-Type: application/unknownformat\r\n',body='<audio/>')),
    ('unknown Content-Encoding',base(m='INVITE',extra=ct+'Content-Encoding: gzip\r\n',body=sdp)),
    ('Accept excludes sdp',base(m='INVITE',extra=ct+'Accept: text/nobodyKnowsThis\r\n',body=sdp)),
    ('SDP garbage',base(m='INVITE',extra=ct,body='garbage garbage\x00\xff'.encode('latin1'))),
    ('SDP m= format not a token',base(m='INVITE',extra=ct,body=sdp.replace('RTP/AVP 0','FOO ('))),
    ('SDP m= proto not a token',base(m='INVITE',extra=ct,body=sdp.replace('RTP/AVP','RT\u00be/AVP').encode('latin1'))),
    ('SDP 20k of m=',base(m='INVITE',extra=ct,body=sdp+'m=audio 9 RTP/AVP 0\r\n'*1000)),
    ('SDP missing c=',base(m='INVITE',extra=ct,body='v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n')),
    ('SDP long key-mgmt 4k',base(m='INVITE',extra=ct,body=sdp+'a=key-mgmt:mikey '+'A'*4000+'\r\n')),
    ('Contact no brackets with ?',base(extra='Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\r\n')),
    ('utf8 headers',base(extra='Subject: \u00e9\u4f60\r\n',frm='From: "\u00e9" <sip:t@example.com>;tag=t1')),
    ('bare LF line ends',base().replace(b'\r\n',b'\n')),
    ('CR only',base().replace(b'\r\n',b'\r')),
    ('NUL in header',base(extra='Subject: a\x00b\r\n')),
    ('response to nothing',b'SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP @L;branch=z9hG4bKnone\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n'),
    ('response bigcode',b'SIP/2.0 4294967301 better not break\r\nVia: SIP/2.0/UDP @L;branch=z9hG4bKnone\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n'),
    ('response stray 200 with Contact',b'SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP @L;branch=z9hG4bKnone\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:t@@L>\r\nContent-Length: 0\r\n\r\n'),
    ('stray ACK',base(m='ACK')),
    ('stray CANCEL',base(m='CANCEL')),
    ('stray BYE with tags',base(m='BYE',to='To: <sip:x@y>;tag=zzz')),
    ('stray PRACK',base(m='PRACK',extra='RAck: 1 1 INVITE\r\n',to='To: <sip:x@y>;tag=zzz')),
    ('stray UPDATE',base(m='UPDATE')),
    ('REFER without Refer-To',base(m='REFER')),
    ('REFER two Refer-To',base(m='REFER',extra='Refer-To: <sip:a@b>\r\nRefer-To: <sip:c@d>\r\n')),
    ('REFER bad Refer-To',base(m='REFER',extra='Refer-To: <<>>;;\r\n')),
    ('SUBSCRIBE no Event',base(m='SUBSCRIBE')),
    ('SUBSCRIBE unknown Event',base(m='SUBSCRIBE',extra='Event: foo\r\n')),
    ('SUBSCRIBE no Contact',base(m='SUBSCRIBE',extra='Event: conference\r\n',contact=False)),
    ('INVITE no Contact',base(m='INVITE',extra=ct,body=sdp,contact=False)),
    ('INVITE Contact: *',base(m='INVITE',extra=ct+'Contact: *\r\n',body=sdp,contact=False)),
    ('SUBSCRIBE Contact: *',base(m='SUBSCRIBE',extra='Event: conference\r\nContact: *\r\n',contact=False)),
    ('SUBSCRIBE Contact tel:',base(m='SUBSCRIBE',extra='Event: conference\r\nContact: <tel:+155>\r\n',contact=False)),
    ('SUBSCRIBE Contact mailto:',base(m='SUBSCRIBE',extra='Event: conference\r\nContact: <mailto:a@b.c>\r\n',contact=False)),
    ('SUBSCRIBE Contact sip: only',base(m='SUBSCRIBE',extra='Event: conference\r\nContact: <sip:>\r\n',contact=False)),
    ('SUBSCRIBE Contact unknown scheme',base(m='SUBSCRIBE',extra='Event: conference\r\nContact: <foo:bar>\r\n',contact=False)),
    ('SUBSCRIBE Contact odd transport',base(m='SUBSCRIBE',extra='Event: conference\r\nContact: <sip:t@@L;transport=sctp>\r\n',contact=False)),
    ('SUBSCRIBE Contact maddr/long',base(m='SUBSCRIBE',extra='Event: conference\r\nContact: <sip:t@@L;maddr='+'a'*300+'>\r\n',contact=False)),
    ('SUBSCRIBE Record-Route junk',base(m='SUBSCRIBE',extra='Event: conference\r\nRecord-Route: <tel:1>, <sip:;lr>\r\n')),
    ('multipart unterminated',base(m='INVITE',extra='Content-Type: multipart/mixed;boundary=b\r\n',body='--b\r\nContent-Type: application/sdp\r\n\r\n'+sdp)),
    ('multipart no boundary',base(m='INVITE',extra='Content-Type: multipart/mixed\r\n',body='--b\r\nContent-Type: application/sdp\r\n\r\n'+sdp+'\r\n--b--\r\n')),
    ('multipart nested 200',base(m='INVITE',extra='Content-Type: multipart/mixed;boundary=b\r\n',body='--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n'*200+'--b--')),
    ('PUBLISH',base(m='PUBLISH',extra='Event: conference\r\n')),
    ('OPTIONS empty header values',base(extra='Supported:\r\nAccept:\r\nAllow:\r\nSession-Expires:\r\nP-Asserted-Identity:\r\nPrivacy:\r\nReason:\r\n')),
    ('INVITE bad Session-Expires',base(m='INVITE',extra=ct+'Session-Expires: abc;refresher=xyz\r\n',body=sdp)),
    ('INVITE small Session-Expires',base(m='INVITE',extra=ct+'Supported: timer\r\nSession-Expires: 10\r\n',body=sdp)),
    ('INVITE bad PAI',base(m='INVITE',extra=ct+'P-Asserted-Identity: <<a>>\r\nPrivacy: ;;;\r\n',body=sdp)),
    ('just CRLFCRLF',b'\r\n\r\n'),
    ('binary junk',bytes(range(256))*4),
    ('one byte',b'x'),
    ]
    return cases


def own(sock):
    return ('%s:%d' % sock.getsockname()[:2]).encode()


def open_sock(host, port, tr, timeout):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if tr == 'udp' else socket.SOCK_STREAM)
    s.settimeout(timeout)
    s.connect((host, port))
    return s


def alive(host, port, tr):
    s = open_sock(host, port, tr, 2)
    name, data = make_cases(host, port, tr)[0]
    s.sendall(data.replace(b'@L', own(s)))
    answer = s.recv(4096)
    s.close()
    return answer.split(b'\r\n')[0].decode('latin1')


def main():
    args = [a for a in sys.argv[1:] if a != '--settle']
    host, port, tr = args[0], int(args[1]), args[2]
    want = args[3:]
    for name, data in make_cases(host, port, tr):
        if want and not any(w in name for w in want):
            continue
        if tr == 'udp' and len(data) > 65000:
            print(f'{name:36s} skipped: too big for UDP')
            continue
        out, buf = [], b''
        try:
            s = open_sock(host, port, tr, 0.45)
            s.sendall(data.replace(b'@L', own(s)))
            end = time.time() + 0.5
            while time.time() < end:
                try:
                    r = s.recv(65536)
                except socket.timeout:
                    break
                if not r:
                    out.append('<closed>')
                    break
                for line in r.split(b'\r\n'):
                    if line.startswith(b'SIP/2.0 ') or line.endswith(b' SIP/2.0'):
                        out.append(line[:60].decode('latin1'))
                if any(o.startswith('SIP/2.0') and o[8:9] != '1' for o in out):
                    break
            s.close()
        except OSError as e:
            out.append(repr(e))
        print(f'{name:36s} {" | ".join(out) if out else "no answer"}', flush=True)
    try:
        print('alive:', alive(host, port, tr))
        if '--settle' in sys.argv:
            time.sleep(40)
            print('alive after 40 s:', alive(host, port, tr))
    except OSError as e:
        print('DEAD:', repr(e))
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
