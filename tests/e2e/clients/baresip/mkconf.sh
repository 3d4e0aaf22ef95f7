#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make a throw-away baresip 1.0.0 configuration directory for one headless client.
#
# usage: mkconf.sh DIR USER SIPPORT CTRLPORT MEDIAENC SOURCE [key=value ...]
#   DIR       directory to create (holds config, accounts, contacts, recordings)
#   USER      user part of the client's address, sip:USER@127.0.0.1:SIPPORT
#   SIPPORT   UDP and TCP port; TLS listens on SIPPORT+1
#   CTRLPORT  ctrl_tcp port (JSON over netstrings, see ctl.py)
#   MEDIAENC  none | srtp | srtp-mand | srtp-mandf | dtls_srtp
#   SOURCE    sine:FREQ | file:WAV (S16LE; rate and channels must be those of the codec) | bridge:NAME
# options:
#   codecs=PCMA,opus     codec list of the account (default PCMA)
#   transport=udp|tcp|tls
#   player=DRIVER,DEV    default aubridge,nil: nothing plays, sndfile still records what was decoded
#                        (alsa,null works too but spins: half a core for each client)
#   cert=FILE ca=FILE    PEM with key+certificate for TLS; CA list for verification
#   outbound=URI         outbound proxy
#   addr=127.0.0.1       local address
#   answer=auto|manual
#   auth_user=NAME auth_pass=PASSWORD   for digest authentication
set -e
dir=$1 user=$2 port=$3 ctrl=$4 enc=$5 src=$6
shift 6
codecs=PCMA transport=udp player=aubridge,nil cert= ca= outbound= addr=127.0.0.1 answer=auto rtp= auth_user= auth_pass=
for kv in "$@"; do
	case $kv in
	codecs=*) codecs=${kv#*=};;
	transport=*) transport=${kv#*=};;
	player=*) player=${kv#*=};;
	cert=*) cert=${kv#*=};;
	ca=*) ca=${kv#*=};;
	outbound=*) outbound=${kv#*=};;
	addr=*) addr=${kv#*=};;
	answer=*) answer=${kv#*=};;
	rtp=*) rtp=${kv#*=};;
	auth_user=*) auth_user=${kv#*=};;
	auth_pass=*) auth_pass=${kv#*=};;
	*) echo "unknown option $kv" >&2; exit 2;;
	esac
done
mkdir -p "$dir/rec"
case $src in
sine:*) source_line="ausine,${src#*:}"; srate=48000; ch=2;;
file:*) source_line="aufile,${src#*:}"; srate=0; ch=0;;
bridge:*) source_line="aubridge,${src#*:}"; srate=0; ch=0;;
*) echo "bad SOURCE $src" >&2; exit 2;;
esac
# RTP ports: a range of its own for each client keeps captures readable
[ -n "$rtp" ] || rtp=$((20000 + (port % 1000) * 20))-$((20000 + (port % 1000) * 20 + 18))
cat >"$dir/config" <<END
poll_method		epoll
sip_listen		$addr:$port
${cert:+sip_certificate	$cert}
${ca:+sip_cafile	$ca}
call_local_timeout	30
call_max_calls		8
audio_player		$player
audio_source		$source_line
audio_alert		$player
ausrc_srate		$srate
ausrc_channels		$ch
ausrc_format		s16
auplay_format		s16
auenc_format		s16
audec_format		s16
audio_level		no
rtp_ports		$rtp
rtcp_mux		no
jitter_buffer_delay	2-5
rtp_stats		yes
net_interface		$addr
module_path		/usr/lib/baresip/modules
module			opus.so
module			amr.so
module			g722.so
module			g711.so
module			sndfile.so
module			alsa.so
module			aubridge.so
module			aufile.so
module			ausine.so
module			srtp.so
module			dtls_srtp.so
module_tmp		uuid.so
module_tmp		account.so
module_app		ctrl_tcp.so
module_app		menu.so
module_app		debug_cmd.so
ctrl_tcp_listen		127.0.0.1:$ctrl
snd_path		$dir/rec
opus_bitrate		28000
END
case $enc in none) me=;; *) me=";mediaenc=$enc";; esac
case $auth_user in '') au=;; *) au=";auth_user=$auth_user;auth_pass=$auth_pass";; esac
case $outbound in '') ob=;; *) ob=";outbound=\"$outbound\"";; esac
echo "<sip:$user@$addr:$port;transport=$transport>;regint=0;answermode=$answer;audio_codecs=$codecs$me$ob$au" >"$dir/accounts"
: >"$dir/contacts"
