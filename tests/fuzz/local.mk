# SPDX-License-Identifier: Apache-2.0
# Fuzz targets. Each is one file fuzz-X.c with LLVMFuzzerTestOneInput(), and a folder corpus/X of
# seeds, small and each with a telling name. It is built twice:
#
#   tests/fuzz/replay-X   always, with replay-main.c instead of libFuzzer: "make check" runs the
#                         corpus through it and counts each file as a test
#   tests/fuzz/fuzz-X     with ./configure --enable-fuzzing CC=clang: the real fuzzer, for
#                         scripts/run-fuzz X SECONDS (a tests/fuzz/X.dict is used when there is one)
#
# To add a target X: write the two, copy the block of "ini" below, put X for ini and the rooms'
# libraries into LDADD. Everything else (building, checking, distributing) follows from
# fuzz_replays, fuzz_programs and EXTRA_DIST.
fuzz_replays =
fuzz_programs =
FUZZ_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
LIBFUZZER = $(AM_LDFLAGS) -fsanitize=fuzzer
REPLAY_MAIN = %D%/replay-main.c

# ---- ini: configuration text, identities, values ----
fuzz_replays += %D%/replay-ini
fuzz_programs += %D%/fuzz-ini
EXTRA_DIST += %D%/corpus/ini
tests_fuzz_replay_ini_SOURCES = %D%/fuzz-ini.c $(REPLAY_MAIN)
tests_fuzz_replay_ini_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_ini_LDADD = libclv-base.la $(TEST_LIBS)
tests_fuzz_fuzz_ini_SOURCES = %D%/fuzz-ini.c
tests_fuzz_fuzz_ini_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_ini_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_ini_LDADD = $(tests_fuzz_replay_ini_LDADD)

# ---- control: lines of the control socket ----
fuzz_replays += %D%/replay-control
fuzz_programs += %D%/fuzz-control
EXTRA_DIST += %D%/corpus/control
tests_fuzz_replay_control_SOURCES = %D%/fuzz-control.c $(REPLAY_MAIN)
tests_fuzz_replay_control_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_control_LDADD = libclv-control.la libclv-sip.la libclv-base.la $(SOFIA_LIBS) \
	$(SSL_LIBS) $(TEST_LIBS)
tests_fuzz_fuzz_control_SOURCES = %D%/fuzz-control.c
tests_fuzz_fuzz_control_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_control_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_control_LDADD = $(tests_fuzz_replay_control_LDADD)

# ---- policy: policy files, verdicts, reload ----
fuzz_replays += %D%/replay-policy
fuzz_programs += %D%/fuzz-policy
EXTRA_DIST += %D%/corpus/policy
tests_fuzz_replay_policy_SOURCES = %D%/fuzz-policy.c $(REPLAY_MAIN)
tests_fuzz_replay_policy_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_policy_LDADD = libclv-policy.la libclv-base.la $(TEST_LIBS)
tests_fuzz_fuzz_policy_SOURCES = %D%/fuzz-policy.c
tests_fuzz_fuzz_policy_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_policy_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_policy_LDADD = $(tests_fuzz_replay_policy_LDADD)

# ---- mikey: MIKEY messages, as octets and as base64 ----
fuzz_replays += %D%/replay-mikey
fuzz_programs += %D%/fuzz-mikey
EXTRA_DIST += %D%/corpus/mikey
tests_fuzz_replay_mikey_SOURCES = %D%/fuzz-mikey.c tests/unit/mikey-world.c $(REPLAY_MAIN)
tests_fuzz_replay_mikey_CFLAGS = $(FUZZ_CFLAGS) -I$(top_srcdir)
tests_fuzz_replay_mikey_LDADD = libmikey.la $(TEST_LIBS)
tests_fuzz_fuzz_mikey_SOURCES = %D%/fuzz-mikey.c tests/unit/mikey-world.c
tests_fuzz_fuzz_mikey_CFLAGS = $(FUZZ_CFLAGS) -I$(top_srcdir)
tests_fuzz_fuzz_mikey_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_mikey_LDADD = $(tests_fuzz_replay_mikey_LDADD)

# ---- ticket: the ticket by itself, with and without the key that protects it ----
fuzz_replays += %D%/replay-ticket
fuzz_programs += %D%/fuzz-ticket
EXTRA_DIST += %D%/corpus/ticket
tests_fuzz_replay_ticket_SOURCES = %D%/fuzz-ticket.c $(REPLAY_MAIN)
tests_fuzz_replay_ticket_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_ticket_LDADD = libmikey.la $(TEST_LIBS)
tests_fuzz_fuzz_ticket_SOURCES = %D%/fuzz-ticket.c
tests_fuzz_fuzz_ticket_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_ticket_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_ticket_LDADD = $(tests_fuzz_replay_ticket_LDADD)

# ---- keyfile: users, services and rules of the KMS ----
fuzz_replays += %D%/replay-keyfile
fuzz_programs += %D%/fuzz-keyfile
EXTRA_DIST += %D%/corpus/keyfile
tests_fuzz_replay_keyfile_SOURCES = %D%/fuzz-keyfile.c $(REPLAY_MAIN)
tests_fuzz_replay_keyfile_CFLAGS = $(FUZZ_CFLAGS) -I$(top_srcdir)/tests
tests_fuzz_replay_keyfile_LDADD = $(KMS_TEST_LDADD)
tests_fuzz_fuzz_keyfile_SOURCES = %D%/fuzz-keyfile.c
tests_fuzz_fuzz_keyfile_CFLAGS = $(FUZZ_CFLAGS) -I$(top_srcdir)/tests
tests_fuzz_fuzz_keyfile_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_keyfile_LDADD = $(KMS_TEST_LDADD)

# ---- kms-digest: Authorization of HTTP, before anybody is known ----
fuzz_replays += %D%/replay-kms-digest
fuzz_programs += %D%/fuzz-kms-digest
EXTRA_DIST += %D%/corpus/kms-digest
tests_fuzz_replay_kms_digest_SOURCES = %D%/fuzz-kms-digest.c $(REPLAY_MAIN)
tests_fuzz_replay_kms_digest_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_kms_digest_LDADD = $(KMS_TEST_LDADD)
tests_fuzz_fuzz_kms_digest_SOURCES = %D%/fuzz-kms-digest.c
tests_fuzz_fuzz_kms_digest_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_kms_digest_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_kms_digest_LDADD = $(KMS_TEST_LDADD)

# ---- kms-list: what announces a conference to the KMS ----
fuzz_replays += %D%/replay-kms-list
fuzz_programs += %D%/fuzz-kms-list
EXTRA_DIST += %D%/corpus/kms-list
tests_fuzz_replay_kms_list_SOURCES = %D%/fuzz-kms-list.c $(KMS_PARTIES) $(REPLAY_MAIN)
tests_fuzz_replay_kms_list_CFLAGS = $(FUZZ_CFLAGS) -I$(top_srcdir)/tests
tests_fuzz_replay_kms_list_LDADD = $(KMS_TEST_LDADD)
tests_fuzz_fuzz_kms_list_SOURCES = %D%/fuzz-kms-list.c $(KMS_PARTIES)
tests_fuzz_fuzz_kms_list_CFLAGS = $(FUZZ_CFLAGS) -I$(top_srcdir)/tests
tests_fuzz_fuzz_kms_list_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_kms_list_LDADD = $(KMS_TEST_LDADD)

# ---- kms-request: what is posted to the KMS ----
fuzz_replays += %D%/replay-kms-request
fuzz_programs += %D%/fuzz-kms-request
EXTRA_DIST += %D%/corpus/kms-request
tests_fuzz_replay_kms_request_SOURCES = %D%/fuzz-kms-request.c $(KMS_PARTIES) $(REPLAY_MAIN)
tests_fuzz_replay_kms_request_CFLAGS = $(FUZZ_CFLAGS) -I$(top_srcdir)/tests
tests_fuzz_replay_kms_request_LDADD = $(KMS_TEST_LDADD)
tests_fuzz_fuzz_kms_request_SOURCES = %D%/fuzz-kms-request.c $(KMS_PARTIES)
tests_fuzz_fuzz_kms_request_CFLAGS = $(FUZZ_CFLAGS) -I$(top_srcdir)/tests
tests_fuzz_fuzz_kms_request_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_kms_request_LDADD = $(KMS_TEST_LDADD)

# ---- sdp: SDP read, written, answered ----
fuzz_replays += %D%/replay-sdp
fuzz_programs += %D%/fuzz-sdp
EXTRA_DIST += %D%/corpus/sdp
tests_fuzz_replay_sdp_SOURCES = %D%/fuzz-sdp.c $(REPLAY_MAIN)
tests_fuzz_replay_sdp_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_sdp_LDADD = libclv-sip.la libclv-base.la $(SOFIA_LIBS) $(SSL_LIBS) $(TEST_LIBS)
tests_fuzz_fuzz_sdp_SOURCES = %D%/fuzz-sdp.c
tests_fuzz_fuzz_sdp_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_sdp_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_sdp_LDADD = $(tests_fuzz_replay_sdp_LDADD)

# ---- sip-parts: multipart bodies, URI lists, Refer-To, History-Info ----
fuzz_replays += %D%/replay-sip-parts
fuzz_programs += %D%/fuzz-sip-parts
EXTRA_DIST += %D%/corpus/sip-parts
tests_fuzz_replay_sip_parts_SOURCES = %D%/fuzz-sip-parts.c $(REPLAY_MAIN)
tests_fuzz_replay_sip_parts_CFLAGS = $(FUZZ_CFLAGS) $(SOFIA_CFLAGS)
tests_fuzz_replay_sip_parts_LDADD = libclv-sip.la libclv-base.la $(SOFIA_LIBS) $(SSL_LIBS) \
	$(XML_LIBS) $(TEST_LIBS)
tests_fuzz_fuzz_sip_parts_SOURCES = %D%/fuzz-sip-parts.c
tests_fuzz_fuzz_sip_parts_CFLAGS = $(FUZZ_CFLAGS) $(SOFIA_CFLAGS)
tests_fuzz_fuzz_sip_parts_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_sip_parts_LDADD = $(tests_fuzz_replay_sip_parts_LDADD)

# ---- users: digest users files and responses ----
fuzz_replays += %D%/replay-users
fuzz_programs += %D%/fuzz-users
EXTRA_DIST += %D%/corpus/users
tests_fuzz_replay_users_SOURCES = %D%/fuzz-users.c $(REPLAY_MAIN)
tests_fuzz_replay_users_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_users_LDADD = libclv-sip.la libclv-base.la $(SOFIA_LIBS) $(SSL_LIBS) $(TEST_LIBS)
tests_fuzz_fuzz_users_SOURCES = %D%/fuzz-users.c
tests_fuzz_fuzz_users_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_users_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_users_LDADD = $(tests_fuzz_replay_users_LDADD)

# ---- rtp: packets, both SRTP engines against each other ----
fuzz_replays += %D%/replay-rtp
fuzz_programs += %D%/fuzz-rtp
EXTRA_DIST += %D%/corpus/rtp
tests_fuzz_replay_rtp_SOURCES = %D%/fuzz-rtp.c $(REPLAY_MAIN)
tests_fuzz_replay_rtp_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_rtp_LDADD = libclv-media.la $(TEST_LIBS)
tests_fuzz_fuzz_rtp_SOURCES = %D%/fuzz-rtp.c
tests_fuzz_fuzz_rtp_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_rtp_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_rtp_LDADD = $(tests_fuzz_replay_rtp_LDADD)

# ---- wav: files of prompts ----
fuzz_replays += %D%/replay-wav
fuzz_programs += %D%/fuzz-wav
EXTRA_DIST += %D%/corpus/wav
tests_fuzz_replay_wav_SOURCES = %D%/fuzz-wav.c $(REPLAY_MAIN)
tests_fuzz_replay_wav_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_wav_LDADD = libclv-prompts.la $(TEST_LIBS)
tests_fuzz_fuzz_wav_SOURCES = %D%/fuzz-wav.c
tests_fuzz_fuzz_wav_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_wav_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_wav_LDADD = $(tests_fuzz_replay_wav_LDADD)

# ---- rtcp: reports ----
fuzz_replays += %D%/replay-rtcp
fuzz_programs += %D%/fuzz-rtcp
EXTRA_DIST += %D%/corpus/rtcp
tests_fuzz_replay_rtcp_SOURCES = %D%/fuzz-rtcp.c $(REPLAY_MAIN)
tests_fuzz_replay_rtcp_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_rtcp_LDADD = libclv-media.la $(TEST_LIBS)
tests_fuzz_fuzz_rtcp_SOURCES = %D%/fuzz-rtcp.c
tests_fuzz_fuzz_rtcp_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_rtcp_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_rtcp_LDADD = $(tests_fuzz_replay_rtcp_LDADD)

# ---- sipfrag: what NOTIFYs tell conclave-ua ----
fuzz_replays += %D%/replay-sipfrag
fuzz_programs += %D%/fuzz-sipfrag
EXTRA_DIST += %D%/corpus/sipfrag
tests_fuzz_replay_sipfrag_SOURCES = %D%/fuzz-sipfrag.c $(REPLAY_MAIN)
tests_fuzz_replay_sipfrag_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_sipfrag_LDADD = libclv-ua.la $(TEST_LIBS)
tests_fuzz_fuzz_sipfrag_SOURCES = %D%/fuzz-sipfrag.c
tests_fuzz_fuzz_sipfrag_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_sipfrag_LDFLAGS = $(LIBFUZZER)
tests_fuzz_fuzz_sipfrag_LDADD = $(tests_fuzz_replay_sipfrag_LDADD)

# ---- all of them ----
check_PROGRAMS += $(fuzz_replays)
TESTS += $(fuzz_replays)
EXTRA_PROGRAMS += $(fuzz_programs)
if FUZZING
noinst_PROGRAMS += $(fuzz_programs)
endif
